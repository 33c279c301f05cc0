// expect: UninitializedReadError
// at: 18
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [8, 8], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [8, 8], "fill": 0}
// }}
// The copy of the padded tile to the output takes its rows with their padding, which nobody wrote.
#include <metal_stdlib>
using namespace metal;

constant uint leading_dimension = 9;

kernel void copy_tile(const device float* keys [[buffer(0)]], device float* out [[buffer(1)]],
                      uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[8 * leading_dimension];
  tile[t / 8 * leading_dimension + t % 8] = keys[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = tile[t];
}
