// rule: metal-simdgroup-product
// at: 12
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  simdgroup_half8x8 result = make_filled_simdgroup_matrix<half, 8, 8>(0.0h);
  simdgroup_half8x8 left = result;
  simdgroup_float8x8 right = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
  simdgroup_multiply_accumulate(result, left, right, right);
  simdgroup_store(right, data);
}
