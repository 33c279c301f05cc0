// expect: ValidationError
// at: none
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float16", "shape": [64, 128], "fill": "normal"},
//   "1": {"dtype": "float16", "shape": [64, 128], "fill": "normal"},
//   "2": {"dtype": "float16", "shape": [128], "fill": 0}
// }}
// Key and value tiles of 64 rows of 128 halves, padded by 4, take 33,792 bytes; a threadgroup has 32,768.
#include <metal_stdlib>
using namespace metal;

constant uint tile_keys = 64;
constant uint head_dim = 128;
constant uint padding = 4;

kernel void stage_tiles(const device half* keys [[buffer(0)]], const device half* values [[buffer(1)]],
                        device half* out [[buffer(2)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup half key_tile[tile_keys][head_dim + padding];
  threadgroup half value_tile[tile_keys][head_dim + padding];
  for (uint row = 0; row < tile_keys; row++) {
    key_tile[row][t] = keys[row * head_dim + t];
    value_tile[row][t] = values[row * head_dim + t];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = key_tile[t % tile_keys][t] * value_tile[t % tile_keys][head_dim - 1 - t];
}
