// rule: metal-address-space-conversion
// at: 14
#include <metal_stdlib>
using namespace metal;

threadgroup float* whole(threadgroup float* tile) {
  return tile;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  tile[thread_index] = 1.0f;
  thread float* row = whole(tile);
  data[thread_index] = row[0];
}
