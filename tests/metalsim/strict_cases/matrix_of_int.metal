// rule: metal-simdgroup-matrix
// at: 9
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  simdgroup_matrix<int, 8, 8> tile;
  data[thread_index] = tile.thread_elements()[0];
}
