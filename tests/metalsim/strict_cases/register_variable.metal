// rule: metal-register
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  register float value = data[thread_index];
  data[thread_index] = value + 1.0f;
}
