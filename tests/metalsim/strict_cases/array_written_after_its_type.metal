// rule: none
// at: 8
// report: KhronosGroup/MoltenVK#145: inline arrays as GLSL writes them
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const float2 rows[2] = float2[]{float2(data[0]), float2(data[1])};
  data[thread_index] = rows[1].x;
}
