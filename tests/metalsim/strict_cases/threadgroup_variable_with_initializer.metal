// rule: metal-threadgroup-variable
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup float tile[4] = {0.0f};
  data[thread_index] = tile[thread_index & 3];
}
