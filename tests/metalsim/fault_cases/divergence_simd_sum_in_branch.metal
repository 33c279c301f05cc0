// expect: DivergenceError
// at: 16
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0},
//   "2": {"dtype": "uint32", "values": [20]}
// }}
// The sum over the simdgroup is taken under a condition that holds for some of its lanes.
#include <metal_stdlib>
using namespace metal;

kernel void masked_sum(const device float* scores [[buffer(0)]], device float* sums [[buffer(1)]],
                       constant uint& num_keys [[buffer(2)]], uint lane [[thread_index_in_simdgroup]]) {
  float sum = 0.0f;
  if (lane < num_keys) {
    sum = simd_sum(exp(scores[lane]));
  }
  sums[lane] = sum;
}
