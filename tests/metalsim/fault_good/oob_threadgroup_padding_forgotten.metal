// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8, 8], "buffers": {
//   "0": {"dtype": "float32", "shape": [8, 8], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [8, 8], "fill": 0}
// }}
// Rows of the tile are addressed with padding, and the tile has room for it.
#include <metal_stdlib>
using namespace metal;

constant uint head_dim = 8;
constant uint leading_dimension = head_dim + 1;

kernel void transpose_tile(const device float* keys [[buffer(0)]], device float* transposed [[buffer(1)]],
                           uint2 position [[thread_position_in_threadgroup]]) {
  threadgroup float tile[8 * leading_dimension];
  tile[position.y * leading_dimension + position.x] = keys[position.y * head_dim + position.x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  transposed[position.y * 8 + position.x] = tile[position.x * leading_dimension + position.y];
}
