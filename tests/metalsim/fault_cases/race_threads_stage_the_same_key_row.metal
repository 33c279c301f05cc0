// expect: RaceError
// at: 20
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [16, 8], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// Four threads stage each row of the key tile, all of them the whole row, as kernels do whose threads were
// counted twice.
#include <metal_stdlib>
using namespace metal;

constant uint tile_keys = 16;
constant uint head_dim = 8;

kernel void stage_keys(const device float* keys [[buffer(0)]], device float* sums [[buffer(1)]],
                       uint t [[thread_index_in_threadgroup]]) {
  threadgroup float key_tile[tile_keys][head_dim];
  uint row = t % tile_keys;
  for (uint d = 0; d < head_dim; d++) {
    key_tile[row][d] = keys[row * head_dim + d];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0.0f;
  for (uint key = 0; key < tile_keys; key++) {
    sum += key_tile[key][t % head_dim];
  }
  sums[t] = sum;
}
