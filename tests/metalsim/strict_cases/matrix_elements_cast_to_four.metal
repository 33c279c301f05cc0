// rule: metal-matrix-elements
// at: 10
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void scale(device float* data [[buffer(0)]]) {
  simdgroup_float8x8 matrix;
  simdgroup_load(matrix, data);
  thread float4& own = reinterpret_cast<thread float4&>(matrix.thread_elements());
  simdgroup_store(matrix, data);
}
