// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [512], "buffers": {
//   "0": {"dtype": "float32", "shape": [512], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// The simdgroups' partial sums are added in one order by one thread.
#include <metal_stdlib>
using namespace metal;

kernel void sum_weights(const device float* weights [[buffer(0)]], device float* sum [[buffer(1)]],
                        uint t [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]],
                        uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float partials[16];
  float partial = simd_sum(weights[t]);
  if (lane == 0) {
    partials[simdgroup] = partial;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t == 0) {
    float total = 0.0f;
    for (uint s = 0; s < 16; s++) {
      total += partials[s];
    }
    sum[0] = total;
  }
}
