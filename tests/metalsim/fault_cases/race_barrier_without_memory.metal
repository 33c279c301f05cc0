// expect: RaceError
// at: 14, 16
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// The barrier synchronises the threads, but mem_none makes no write to threadgroup memory visible.
#include <metal_stdlib>
using namespace metal;

kernel void reverse_keys(const device float* keys [[buffer(0)]], device float* reversed [[buffer(1)]],
                         uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = keys[t];
  threadgroup_barrier(mem_flags::mem_none);
  reversed[t] = tile[63 - t];
}
