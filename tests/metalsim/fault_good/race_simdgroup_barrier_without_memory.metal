// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"}
// }}
// The lanes exchange values through threadgroup memory, and their simdgroup_barrier is for it.
#include <metal_stdlib>
using namespace metal;

kernel void swap_pairs(device float* query [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float row[32];
  row[lane] = query[lane];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  query[lane] = row[lane ^ 1];
}
