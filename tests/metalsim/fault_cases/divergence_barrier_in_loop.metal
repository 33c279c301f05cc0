// expect: DivergenceError
// at: 18
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0},
//   "2": {"dtype": "uint32", "values": [40]}
// }}
// Threads take every 32nd key of 40, so that eight of them come to the loop's barrier once more often.
#include <metal_stdlib>
using namespace metal;

kernel void accumulate(const device float* keys [[buffer(0)]], device float* sums [[buffer(1)]],
                       constant uint& num_keys [[buffer(2)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  float sum = 0.0f;
  for (uint key = t; key < num_keys; key += 32) {
    tile[t] = keys[key];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sum += tile[t];
  }
  sums[t] = sum;
}
