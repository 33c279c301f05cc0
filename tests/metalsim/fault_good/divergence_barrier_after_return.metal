// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0},
//   "2": {"dtype": "uint32", "values": [50]}
// }}
// Threads without a row return after the barrier.
#include <metal_stdlib>
using namespace metal;

kernel void reverse_rows(const device float* rows [[buffer(0)]], device float* reversed [[buffer(1)]],
                         constant uint& num_rows [[buffer(2)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = rows[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t >= num_rows) {
    return;
  }
  reversed[t] = tile[num_rows - 1 - t];
}
