// rule: metal-address-space-conversion
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  device float* row = tile;
  row[thread_index] = data[thread_index];
}
