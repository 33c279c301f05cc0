// rule: metal-matrix-elements
// at: 10
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void scale(device float* data [[buffer(0)]]) {
  simdgroup_float8x8 matrix;
  simdgroup_load(matrix, data);
  matrix.thread_elements() *= 2.0f;
  simdgroup_store(matrix, data);
}
