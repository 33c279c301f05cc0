#include <metal_stdlib>
using namespace metal;

float polynomial(float value, const float weights[], int count) {
  float total = 0.0f;
  for (int i = 0; i < count; i++) {
    total = total * value + weights[i];
  }
  return total;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  constexpr float weights[] = {0.5f, 0.25f, 0.125f};
  data[thread_index] = polynomial(data[thread_index], weights, 3);
}
