// rule: metal-address-space-place
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  constant float scale = 2.0f;
  data[thread_index] = scale;
}
