// rule: metal-overload
// at: 9
// report: KhronosGroup/SPIRV-Cross#1548: "call to 'trunc' is ambiguous"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const bool is_first = thread_index == 0;
  data[thread_index] = trunc(is_first);
}
