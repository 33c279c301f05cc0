// expect: DivergenceError
// at: 13
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// Each lane reads the next one, and lane 31 reads lane 32.
#include <metal_stdlib>
using namespace metal;

kernel void next_scores(const device float* scores [[buffer(0)]], device float* next [[buffer(1)]],
                        uint lane [[thread_index_in_simdgroup]]) {
  next[lane] = simd_shuffle(scores[lane], ushort(lane + 1));
}
