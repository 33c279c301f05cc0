// rule: metal-as-type
// at: 9
// report: KhronosGroup/SPIRV-Cross#1548: "as_type cast from 'bool' to 'int' is not allowed"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const bool is_first = thread_index == 0;
  data[thread_index] = as_type<int>(is_first);
}
