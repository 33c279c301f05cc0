// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// A threadgroup of 32 threads is a whole simdgroup, as the reduction expects.
#include <metal_stdlib>
using namespace metal;

kernel void tree_sum(const device float* scores [[buffer(0)]], device float* sum [[buffer(1)]],
                     uint lane [[thread_index_in_simdgroup]]) {
  float total = scores[lane];
  for (ushort distance = 16; distance > 0; distance /= 2) {
    total += simd_shuffle_xor(total, distance);
  }
  if (lane == 0) {
    sum[0] = total;
  }
}
