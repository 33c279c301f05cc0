// rule: metal-function-constant-expression
// at: 11
#include <metal_stdlib>
using namespace metal;

constant int size [[function_constant(0)]];
constant int twice = 2 * size;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float values[twice];
  values[0] = data[thread_index];
  data[thread_index] = values[0];
}
