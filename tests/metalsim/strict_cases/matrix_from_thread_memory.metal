// rule: metal-simdgroup-memory
// at: 11
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float values[64];
  simdgroup_float8x8 tile;
  simdgroup_load(tile, values, 8);
  simdgroup_store(tile, data);
}
