// expect: RaceError
// also: UninitializedReadError
// at: 15, 17
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// A simdgroup_barrier orders the threads of one simdgroup, but the tile is exchanged between two.
#include <metal_stdlib>
using namespace metal;

kernel void swap_halves(const device float* keys [[buffer(0)]], device float* swapped [[buffer(1)]],
                        uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = keys[t];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  swapped[t] = tile[(t + 32) % 64];
}
