// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float32", "shape": [128], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// A barrier follows each phase of a tree reduction.
#include <metal_stdlib>
using namespace metal;

kernel void row_sum(const device float* weights [[buffer(0)]], device float* sum [[buffer(1)]],
                    uint t [[thread_index_in_threadgroup]]) {
  threadgroup float partial[128];
  partial[t] = weights[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint stride = 64; stride > 0; stride /= 2) {
    if (t < stride) {
      partial[t] += partial[t + stride];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t == 0) {
    sum[0] = partial[0];
  }
}
