// rule: metal-address-space-conversion
// at: 12
#include <metal_stdlib>
using namespace metal;

int doubled(const thread int& value) {
  return 2 * value;
}

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = doubled(count);
}
