// expect: UninitializedReadError
// at: 21
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float32", "shape": [128], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// The reduction reads a slot for each of 32 simdgroups, but only four exist and wrote theirs.
#include <metal_stdlib>
using namespace metal;

kernel void row_maximum(const device float* scores [[buffer(0)]], device float* maximum [[buffer(1)]],
                        uint t [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]],
                        uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float maxima[32];
  float simdgroup_maximum = simd_max(scores[t]);
  if (lane == 0) {
    maxima[simdgroup] = simdgroup_maximum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (simdgroup == 0) {
    float mine = maxima[lane];
    float row = simd_max(mine);
    if (lane == 0) {
      maximum[0] = row;
    }
  }
}
