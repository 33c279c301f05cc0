// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32, 8], "fill": "normal"},
//   "1": {"dtype": "uint32", "values": [0, 1, 2, 3, 4, 5, 6, 7]},
//   "2": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// A thread keeps four partial scores, and parts share them.
#include <metal_stdlib>
using namespace metal;

kernel void partial_scores(const device float* scores [[buffer(0)]], const device uint* parts [[buffer(1)]],
                           device float* sums [[buffer(2)]], uint t [[thread_position_in_grid]]) {
  float partial[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (uint i = 0; i < 8; i++) {
    partial[parts[i] % 4] += scores[t * 8 + i];
  }
  sums[t] = partial[parts[t % 4]] * partial[parts[(t + 1) % 4]];
}
