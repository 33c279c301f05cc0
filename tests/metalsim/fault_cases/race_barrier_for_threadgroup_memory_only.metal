// expect: RaceError
// at: 13, 17
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// Scores are exchanged through device memory, but the barrier is for threadgroup memory.
#include <metal_stdlib>
using namespace metal;

kernel void normalise(device float* scores [[buffer(0)]], device float* weights [[buffer(1)]],
                      uint t [[thread_index_in_threadgroup]]) {
  scores[t] = exp(scores[t]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0.0f;
  for (uint key = 0; key < 64; key++) {
    sum += scores[key];
  }
  weights[t] = exp(float(t)) / sum;
}
