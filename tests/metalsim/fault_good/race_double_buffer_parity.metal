// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// The next tile is prefetched into the buffer that is not being read.
#include <metal_stdlib>
using namespace metal;

kernel void pipelined_sum(const device float* keys [[buffer(0)]], device float* sums [[buffer(1)]],
                          uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tiles[2][64];
  tiles[0][t] = keys[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0.0f;
  for (uint tile = 0; tile < 4; tile++) {
    if (tile < 3) {
      tiles[(tile + 1) % 2][t] = keys[(tile + 1) * 64 + t];
    }
    for (uint key = 0; key < 64; key++) {
      sum += tiles[tile % 2][key];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  sums[t] = sum;
}
