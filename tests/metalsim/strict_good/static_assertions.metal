#include <metal_stdlib>
using namespace metal;

static_assert(sizeof(float4) == 16, "four floats have 16 bytes");

template <typename T>
T twice(T value) {
  static_assert(sizeof(T) == 4, "a value must have 32 bits");
  return value + value;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = twice(data[thread_index]);
}
