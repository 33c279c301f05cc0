#include <metal_stdlib>
using namespace metal;

template <int N>
struct Power {
  static float of(float value) {
    return value * Power<N - 1>::of(value);
  }
};

template <>
struct Power<0> {
  static float of(float value) {
    return 1.0f;
  }
};

template <int N>
float power(float value) {
  return Power<N>::of(value);
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = power<3>(data[thread_index]);
}
