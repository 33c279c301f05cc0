// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// The lower half of the simdgroup folds the upper half onto itself, and both take part in the shuffle.
#include <metal_stdlib>
using namespace metal;

kernel void fold(const device float* scores [[buffer(0)]], device float* folded [[buffer(1)]],
                 uint lane [[thread_index_in_simdgroup]]) {
  float score = scores[lane];
  float upper = simd_shuffle(score, ushort(lane ^ 16));
  if (lane < 16) {
    score += upper;
  }
  folded[lane] = score;
}
