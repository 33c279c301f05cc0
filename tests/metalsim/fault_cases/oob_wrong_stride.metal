// expect: OutOfBoundsError
// at: 23
// place: buffer 1, byte 128
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [4, 4], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 4], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [4, 2, 4], "fill": "normal"},
//   "2": {"dtype": "float32", "shape": [4, 4], "fill": 0}
// }}
// Keys are addressed with the number of query heads, though they have fewer heads: the rows of later tokens lie
// past the end.
#include <metal_stdlib>
using namespace metal;

constant uint num_heads = 4;
constant uint num_kv_heads = 2;
constant uint head_dim = 4;

kernel void dot_scores(const device float4* query [[buffer(0)]], const device float4* keys [[buffer(1)]],
                       device float* scores [[buffer(2)]], uint2 position [[thread_position_in_grid]]) {
  uint head = position.x;
  uint token = position.y;
  uint kv_head = head / (num_heads / num_kv_heads);
  float4 key = keys[token * num_heads + kv_head];
  scores[token * num_heads + head] = dot(query[head], key);
}
