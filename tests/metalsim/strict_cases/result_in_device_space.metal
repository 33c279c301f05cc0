// rule: metal-address-space-place
// at: 6
#include <metal_stdlib>
using namespace metal;

device float twice(float value) {
  return 2.0f * value;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = twice(data[thread_index]);
}
