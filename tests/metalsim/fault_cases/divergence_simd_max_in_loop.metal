// expect: DivergenceError
// at: 17
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32, 4], "fill": "normal"},
//   "1": {"dtype": "uint32", "values": [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4,
//     1, 2, 3, 4, 1, 2, 3, 4]},
//   "2": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// Lanes have keys of different numbers, and take the maximum over the simdgroup once for each of theirs.
#include <metal_stdlib>
using namespace metal;

kernel void running_maximum(const device float* scores [[buffer(0)]], const device uint* lengths [[buffer(1)]],
                            device float* maxima [[buffer(2)]], uint lane [[thread_index_in_simdgroup]]) {
  float maximum = -INFINITY;
  for (uint key = 0; key < lengths[lane]; key++) {
    maximum = max(maximum, simd_max(scores[lane * 4 + key]));
  }
  maxima[lane] = maximum;
}
