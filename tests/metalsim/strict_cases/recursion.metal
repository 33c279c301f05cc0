// rule: metal-recursion
// at: 6
#include <metal_stdlib>
using namespace metal;

float power(float value, int exponent) {
  return exponent == 0 ? 1.0f : value * power(value, exponent - 1);
}

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = power(data[thread_index], count);
}
