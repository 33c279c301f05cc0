// rule: metal-overload
// at: 9
// report: KhronosGroup/SPIRV-Cross#563: "no viable overloaded '*='"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  float3x3 matrix = float3x3(data[0]);
  matrix *= matrix;
  data[thread_index] = matrix[0].x;
}
