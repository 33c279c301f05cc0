// rule: metal-address-space
// at: 6
#include <metal_stdlib>
using namespace metal;

float sum(const float values[2]) {
  return values[0] + values[1];
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float values[2] = {data[thread_index], 1.0f};
  data[thread_index] = sum(values);
}
