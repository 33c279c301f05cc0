// rule: metal-as-type
// at: 8
// report: KhronosGroup/MoltenVK#1476: "as_type cast from 'long' to 'float' is not allowed"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = as_type<float>((int(thread_index) & (-2147483648)) | 1065353216);
}
