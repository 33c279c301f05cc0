// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// The tile is read by other threads than those that stage it, after a barrier.
#include <metal_stdlib>
using namespace metal;

kernel void reverse_weights(const device float* weights [[buffer(0)]], device float* reversed [[buffer(1)]],
                            uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = weights[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  reversed[t] = tile[63 - t];
}
