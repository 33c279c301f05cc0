// expect: OutOfBoundsError
// at: 15
// place: buffer 0, byte 192
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float16", "shape": [8, 12], "fill": "normal"},
//   "1": {"dtype": "float16", "shape": [8, 8], "fill": 0}
// }}
// The fragment's columns start at 8 of 12: the last row's load leaves the buffer.
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void load_fragment(const device half* left [[buffer(0)]], device half* out [[buffer(1)]]) {
  simdgroup_matrix<half, 8, 8> matrix_tile;
  simdgroup_load(matrix_tile, left, 12, ulong2(8, 0));
  simdgroup_store(matrix_tile, out, 8);
}
