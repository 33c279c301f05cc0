#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

// As in Apple's AIR: <64 x float>, <64 x half>, <64 x bfloat>.
static_assert(sizeof(simdgroup_float8x8) == 256 && alignof(simdgroup_float8x8) == 256, "a vector of 64 floats");
static_assert(sizeof(simdgroup_half8x8) == 128 && alignof(simdgroup_half8x8) == 128, "a vector of 64 halves");
static_assert(sizeof(simdgroup_bfloat8x8) == 128 && alignof(simdgroup_bfloat8x8) == 128, "a vector of 64 bfloats");

template <typename T> inline thread vec<T, 2>& elements(thread simdgroup_matrix<T, 8, 8>& matrix) {
  return reinterpret_cast<thread vec<T, 2>&>(matrix.thread_elements());
}

kernel void scale(device float* data [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 matrix;
  simdgroup_load(matrix, data);
  const simdgroup_float8x8 before = matrix;
  thread auto& own = matrix.thread_elements();
  const auto copy = before.thread_elements();
  own[0] = copy[1] * 2.0f;
  for (uint i = 0; i < 2; i++) {
    matrix.thread_elements()[i] += before.thread_elements()[i];
  }
  elements(matrix) *= float2(own[0], sizeof(matrix.thread_elements()));
  simdgroup_store(matrix, data);
}
