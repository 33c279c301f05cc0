// rule: metal-address-space
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float* row = data + 4;
  row[thread_index] = 1.0f;
}
