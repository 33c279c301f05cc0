// rule: metal-function-constant-expression
// at: 15
#include <metal_stdlib>
using namespace metal;

constant int factor [[function_constant(0)]];

template <int N>
float times(float value) {
  return N * value;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = times<factor>(data[thread_index]);
}
