// rule: metal-address-space
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float value = data[thread_index];
  float* pointer = &value;
  data[thread_index] = *pointer + 1.0f;
}
