// rule: metal-function-constant-expression
// at: 10
#include <metal_stdlib>
using namespace metal;

constant int size [[function_constant(0)]];

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float values[size];
  values[0] = data[thread_index];
  data[thread_index] = values[0];
}
