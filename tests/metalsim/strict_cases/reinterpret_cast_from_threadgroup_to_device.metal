// rule: metal-address-space-cast
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  device float4* row = reinterpret_cast<device float4*>(tile);
  data[thread_index] = row[0].x;
}
