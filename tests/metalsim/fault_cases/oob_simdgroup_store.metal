// expect: OutOfBoundsError
// at: 16
// place: buffer 1, byte 224
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [8, 8], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [7, 8], "fill": 0}
// }}
// An 8x8 fragment is stored whole to an output of seven rows.
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void store_fragment(const device float* left [[buffer(0)]], device float* out [[buffer(1)]]) {
  simdgroup_float8x8 matrix_tile;
  simdgroup_load(matrix_tile, left, 8);
  simdgroup_store(matrix_tile, out, 8);
}
