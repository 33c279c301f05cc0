// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8, 12], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 4, 8], "fill": "normal"},
//   "1": {"dtype": "int32", "values": [2, 0, -1]},
//   "2": {"dtype": "float32", "shape": [12, 8], "fill": 0},
//   "3": {"dtype": "int32", "values": [7]}
// }}
// Tokens behind the context are left alone, so that the padding of the block table is not read.
#include <metal_stdlib>
using namespace metal;

constant uint block_size = 4;
constant uint head_dim = 8;

kernel void gather_keys(const device float* key_cache [[buffer(0)]],
                        const device int* block_table [[buffer(1)]], device float* keys [[buffer(2)]],
                        constant int& context_length [[buffer(3)]],
                        uint2 position [[thread_position_in_grid]]) {
  int token = int(position.y);
  if (token >= context_length) {
    return;
  }
  int block = block_table[token / int(block_size)];
  int source = (block * int(block_size) + token % int(block_size)) * int(head_dim) + int(position.x);
  keys[token * int(head_dim) + int(position.x)] = key_cache[source];
}
