// rule: metal-undeclared
// at: 8
// report: exo-explore/exo#1766: "unknown type name 'bfloat16_t'"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = float(bfloat16_t(data[thread_index]));
}
