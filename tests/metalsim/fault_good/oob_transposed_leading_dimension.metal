// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [16, 8], "buffers": {
//   "0": {"dtype": "float32", "shape": [8, 16], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [16, 8], "fill": 0}
// }}
// The transposed matrix is written with its own leading dimension.
#include <metal_stdlib>
using namespace metal;

constant uint rows = 8;
constant uint columns = 16;

kernel void transpose_keys(const device float* keys [[buffer(0)]], device float* transposed [[buffer(1)]],
                           uint2 position [[thread_position_in_grid]]) {
  uint row = position.y;
  uint column = position.x;
  transposed[column * rows + row] = keys[row * columns + column];
}
