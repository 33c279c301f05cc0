// rule: metal-address-space
// at: 6
#include <metal_stdlib>
using namespace metal;

void increment(float& value) {
  value += 1.0f;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float value = data[thread_index];
  increment(value);
  data[thread_index] = value;
}
