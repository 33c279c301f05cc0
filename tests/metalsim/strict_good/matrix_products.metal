#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], const device half* input [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  simdgroup_half8x8 left;
  simdgroup_half8x8 right;
  simdgroup_load(left, input, 8);
  threadgroup half tile[64];
  tile[thread_index] = input[thread_index];
  tile[thread_index + 32] = input[thread_index + 32];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_load(right, tile, 8, ulong2(0, 0), true);
  simdgroup_float8x8 sum = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  simdgroup_multiply_accumulate(sum, left, right, sum);
  simdgroup_float8x8 wide = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
  simdgroup_multiply_accumulate(sum, wide, right, sum);
  simdgroup_store(sum, data, 8);
}
