#include <metal_stdlib>
using namespace metal;

float twice(float value) {
  return 2.0f * value;
}

float thrice(float value) {
  return 3.0f * value;
}

float apply(float value, float (*operation)(float)) {
  return operation(value);
}

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = apply(data[thread_index], twice) + apply(data[thread_index], count > 3 ? twice : thrice);
}
