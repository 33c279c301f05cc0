#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  int4 integers = int4(1, 2, 3, 4);
  float4 floats = float4(integers) + (float4)integers + static_cast<float4>(integers);
  uint4 bits = as_type<uint4>(floats);
  half2 narrow = half2(floats.xy);
  float3 mixed = float3(floats.xy, 1.0f);
  float4 splat = 2.0f;
  mixed.xy = floats.zw;
  floats[thread_index & 3] = 3.0f;
  data[thread_index] = floats.x + float(bits.y) + narrow.y + mixed.z + splat.w;
}
