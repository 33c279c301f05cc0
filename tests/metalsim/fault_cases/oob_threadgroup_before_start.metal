// expect: OutOfBoundsError
// at: 16
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// The first row of the tile looks at the row above it, which the tile does not have.
#include <metal_stdlib>
using namespace metal;

kernel void score_differences(const device float* scores [[buffer(0)]], device float* differences [[buffer(1)]],
                              uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  tile[t] = scores[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  differences[t] = tile[t] - tile[int(t) - 1];
}
