// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0},
//   "2": {"dtype": "uint32", "values": [40]}
// }}
// The barrier stands before the branch of the threads that have a row.
#include <metal_stdlib>
using namespace metal;

kernel void stage_rows(const device float* keys [[buffer(0)]], device float* out [[buffer(1)]],
                       constant uint& num_rows [[buffer(2)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = keys[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t < num_rows) {
    out[t] = tile[t] * 2.0f;
  }
}
