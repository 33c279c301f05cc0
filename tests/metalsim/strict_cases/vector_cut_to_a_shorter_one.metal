// rule: metal-vector-constructor
// at: 9
// report: gfx-rs/wgpu#7410: "from vector 'float3' to vector 'float2' of different size"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const float3 whole = float3(data[0]);
  data[thread_index] = float2(whole).x;
}
