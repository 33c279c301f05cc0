// rule: metal-function-constant-expression
// at: 11
#include <metal_stdlib>
using namespace metal;

constant int mode [[function_constant(0)]];

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  switch (count) {
  case mode:
    data[thread_index] = 1.0f;
    break;
  default:
    data[thread_index] = 2.0f;
  }
}
