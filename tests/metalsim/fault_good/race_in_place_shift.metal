// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [63], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"}
// }}
// The cache is shifted by one token in place, with a barrier between reading and writing.
#include <metal_stdlib>
using namespace metal;

kernel void shift_cache(device float* cache [[buffer(0)]], uint token [[thread_index_in_threadgroup]]) {
  float next = cache[token + 1];
  threadgroup_barrier(mem_flags::mem_device);
  cache[token] = next;
}
