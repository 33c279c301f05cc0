// rule: metal-conversion
// at: 9
// report: dillongoostudios/goo-engine#124: "no matching conversion for functional-style cast"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const float4x4 whole = float4x4(data[0]);
  data[thread_index] = float3x3(whole)[0].x;
}
