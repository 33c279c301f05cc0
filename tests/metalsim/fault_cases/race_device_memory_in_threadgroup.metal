// expect: RaceError
// at: 13, 16
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// Each thread adds up the weights before its own, which other threads have just written to device memory.
#include <metal_stdlib>
using namespace metal;

kernel void cumulative_weights(device float* weights [[buffer(0)]], device float* cumulative [[buffer(1)]],
                               uint t [[thread_index_in_threadgroup]]) {
  weights[t] = exp(weights[t]);
  float sum = 0.0f;
  for (uint key = 0; key <= t; key++) {
    sum += weights[key];
  }
  cumulative[t] = sum;
}
