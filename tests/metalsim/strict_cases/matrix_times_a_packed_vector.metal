// rule: metal-conversion
// at: 10
// report: gfx-rs/naga#1297: "cannot convert between vector and non-scalar values"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const float3x3 matrix = float3x3(1.0f);
  const packed_float3 column = packed_float3(data[0]);
  data[thread_index] = (matrix * column).x;
}
