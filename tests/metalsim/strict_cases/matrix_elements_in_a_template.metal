// rule: metal-matrix-elements
// at: 8
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

template <typename T> inline void scale(thread simdgroup_matrix<T, 8, 8>& matrix, T factor) {
  matrix.thread_elements() = matrix.thread_elements() * factor;
}

kernel void scale_all(device float* data [[buffer(0)]]) {
  simdgroup_float8x8 matrix;
  simdgroup_load(matrix, data);
  scale(matrix, 2.0f);
  simdgroup_store(matrix, data);
}
