// expect: OutOfBoundsError
// at: 23
// place: buffer 0, byte 512
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8, 12], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 4, 8], "fill": "normal"},
//   "1": {"dtype": "int32", "values": [2, 0, 4]},
//   "2": {"dtype": "float32", "shape": [12, 8], "fill": 0}
// }}
// The last entry of the block table is the number of blocks, one more than the last block: the gather reads
// past the cache.
#include <metal_stdlib>
using namespace metal;

constant uint block_size = 4;
constant uint head_dim = 8;

kernel void gather_keys(const device float* key_cache [[buffer(0)]],
                        const device int* block_table [[buffer(1)]], device float* keys [[buffer(2)]],
                        uint2 position [[thread_position_in_grid]]) {
  int token = int(position.y);
  int block = block_table[token / int(block_size)];
  int source = (block * int(block_size) + token % int(block_size)) * int(head_dim) + int(position.x);
  keys[token * int(head_dim) + int(position.x)] = key_cache[source];
}
