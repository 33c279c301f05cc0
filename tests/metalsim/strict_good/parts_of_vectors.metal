// Vectors of parts: scalars of any type, vectors of the same elements. A vector alone is converted.
#include <metal_stdlib>
using namespace metal;

template <typename T> using Square = matrix<T, 4, 4>;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  const float2 pair = float2(data[0], count);
  const half2 narrow = half2(pair);
  const half3 triple = half3(narrow, data[1]);
  const float4 whole = float4(pair, 1, 2.0h);
  const uint4 places = uint4(uint2(thread_index), count, 7);
  const float4 halves = float4(pair, whole.zw);
  const bool4 signs = bool4(pair < whole.xy, pair > whole.zw);
  const Square<half> turn = Square<half>(1.0h);
  const float3 packed = float3(packed_float3(triple.x, triple.y, triple.z));
  data[thread_index] = halves.w + places.x + packed.x + turn[0].x + (any(signs) ? 1.0f : 0.0f);
}
