// rule: metal-address-space-conversion
// at: 12
#include <metal_stdlib>
using namespace metal;

float first(const thread float* values) {
  return values[0];
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = first(data + 1);
}
