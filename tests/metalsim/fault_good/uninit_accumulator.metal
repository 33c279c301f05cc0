// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [16], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32, 16], "fill": "normal"},
//   "2": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// The accumulator of a dot product starts at zero.
#include <metal_stdlib>
using namespace metal;

kernel void dot_product(const device float* query [[buffer(0)]], const device float* keys [[buffer(1)]],
                        device float* scores [[buffer(2)]], uint key [[thread_position_in_grid]]) {
  float sum = 0.0f;
  for (uint d = 0; d < 16; d++) {
    sum += query[d] * keys[key * 16 + d];
  }
  scores[key] = sum;
}
