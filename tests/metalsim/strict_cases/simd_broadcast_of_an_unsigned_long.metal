// rule: metal-overload
// at: 9
// report: KhronosGroup/SPIRV-Cross#2007: "no matching function for call to 'simd_broadcast_first'"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const ulong place = thread_index;
  data[thread_index] = simd_broadcast_first(place);
}
