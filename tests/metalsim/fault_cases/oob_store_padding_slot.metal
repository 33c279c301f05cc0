// expect: OutOfBoundsError
// at: 20
// place: buffer 2, byte -32
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8, 3], "buffers": {
//   "0": {"dtype": "float32", "shape": [3, 8], "fill": "normal"},
//   "1": {"dtype": "int32", "values": [5, 2, -1]},
//   "2": {"dtype": "float32", "shape": [6, 8], "fill": 0}
// }}
// The slot of a padding token is -1, and its key is written to it: before the cache.
#include <metal_stdlib>
using namespace metal;

constant int head_dim = 8;

kernel void write_keys(const device float* keys [[buffer(0)]], const device int* slot_mapping [[buffer(1)]],
                       device float* key_cache [[buffer(2)]], uint2 position [[thread_position_in_grid]]) {
  int token = int(position.y);
  int d = int(position.x);
  int slot = slot_mapping[token];
  key_cache[slot * head_dim + d] = keys[token * head_dim + d];
}
