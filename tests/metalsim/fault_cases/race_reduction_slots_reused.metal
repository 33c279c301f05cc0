// expect: RaceError
// at: 20, 24
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float32", "shape": [128], "fill": "normal"}
// }}
// The slots of the maxima take the sums while other simdgroups still read the maxima.
#include <metal_stdlib>
using namespace metal;

kernel void softmax_row(device float* scores [[buffer(0)]], uint t [[thread_index_in_threadgroup]],
                        uint lane [[thread_index_in_simdgroup]],
                        uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float slots[4];
  float score = scores[t];
  float simdgroup_maximum = simd_max(score);
  if (lane == 0) {
    slots[simdgroup] = simdgroup_maximum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float maximum = simd_max(slots[lane % 4]);
  float weight = exp(score - maximum);
  float simdgroup_sum = simd_sum(weight);
  if (lane == 0) {
    slots[simdgroup] = simdgroup_sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  scores[t] = weight / (slots[0] + slots[1] + slots[2] + slots[3]);
}
