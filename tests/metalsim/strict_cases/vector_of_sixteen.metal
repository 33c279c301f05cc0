// rule: metal-undeclared
// at: 8
// report: halide/Halide#3372: "unknown type name 'int16'"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const int16 lanes = int16(-10);
  data[thread_index] = lanes[0];
}
