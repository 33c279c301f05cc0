// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [256], "buffers": {
//   "0": {"dtype": "float32", "shape": [256], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// There are eight simdgroups, and room for the maxima of eight.
#include <metal_stdlib>
using namespace metal;

kernel void softmax_statistics(const device float* scores [[buffer(0)]], device float* statistics [[buffer(1)]],
                               uint t [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]],
                               uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float maxima[8];
  threadgroup float sums[8];
  float score = scores[t];
  float maximum = simd_max(score);
  float sum = simd_sum(exp(score - maximum));
  if (lane == 0) {
    sums[simdgroup] = sum;
    maxima[simdgroup] = maximum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t == 0) {
    float total = 0.0f;
    for (uint s = 0; s < 8; s++) {
      total += sums[s] * exp(maxima[s]);
    }
    statistics[0] = total;
  }
}
