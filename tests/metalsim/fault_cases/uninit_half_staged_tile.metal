// expect: UninitializedReadError
// at: 18
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// Thirty-two threads stage one element each of a tile of 64, and all of it is read.
#include <metal_stdlib>
using namespace metal;

kernel void tile_scores(const device float* keys [[buffer(0)]], device float* scores [[buffer(1)]],
                        uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = keys[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float score = 0.0f;
  for (uint i = 0; i < 64; i++) {
    score += tile[i] * float(t);
  }
  scores[t] = score;
}
