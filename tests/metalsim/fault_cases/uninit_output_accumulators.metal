// expect: UninitializedReadError
// at: 21, 25
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [4], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 6], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [6, 8], "fill": "normal"},
//   "2": {"dtype": "float32", "shape": [4, 8], "fill": 0},
//   "3": {"dtype": "uint32", "values": [6]}
// }}
// The accumulators of the output row are an array that is added to, but was never cleared.
#include <metal_stdlib>
using namespace metal;

constant uint head_dim = 8;

kernel void weighted_values(const device float* weights [[buffer(0)]], const device float* values [[buffer(1)]],
                            device float* out [[buffer(2)]], constant uint& num_keys [[buffer(3)]],
                            uint row [[thread_position_in_grid]]) {
  float accumulators[head_dim];
  for (uint key = 0; key < num_keys; key++) {
    for (uint d = 0; d < head_dim; d++) {
      accumulators[d] += weights[row * num_keys + key] * values[key * head_dim + d];
    }
  }
  for (uint d = 0; d < head_dim; d++) {
    out[row * head_dim + d] = accumulators[d];
  }
}
