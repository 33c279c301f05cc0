// expect: nothing
// dispatch: {"threadgroups": [2], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [10, 4], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [10, 4], "fill": 0},
//   "2": {"dtype": "uint32", "values": [10]}
// }}
// The last tile of output rows is not full, and only its rows are stored.
#include <metal_stdlib>
using namespace metal;

constant uint tile_rows = 8;
constant uint head_dim = 4;

kernel void write_tile(const device float* accumulators [[buffer(0)]], device float* out [[buffer(1)]],
                       constant uint& num_rows [[buffer(2)]], uint tile [[threadgroup_position_in_grid]],
                       uint t [[thread_index_in_threadgroup]]) {
  uint row = tile * tile_rows + t / head_dim;
  uint column = t % head_dim;
  float accumulator = accumulators[min(row, num_rows - 1) * head_dim + column];
  if (row < num_rows)
    out[row * head_dim + column] = accumulator;
}
