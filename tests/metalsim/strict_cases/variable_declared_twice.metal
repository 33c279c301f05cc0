// rule: none
// at: 9
// report: KhronosGroup/SPIRV-Cross#1396: "redefinition of 'i'"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  uint i = 0;
  uint i = 0;
  data[thread_index] = i;
}
