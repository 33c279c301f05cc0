// expect: OutOfBoundsError
// at: 17
// place: buffer 0, byte 1024
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8], "buffers": {
//   "0": {"dtype": "float32", "shape": [8, 32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [8], "fill": 0}
// }}
// The loop over the head dimension runs one element too far: the norm of the last key reads past the cache.
#include <metal_stdlib>
using namespace metal;

kernel void key_norms(const device float* keys [[buffer(0)]], device float* norms [[buffer(1)]],
                      uint key [[thread_position_in_grid]]) {
  constexpr uint head_dim = 32;
  float squares = 0.0f;
  for (uint d = 0; d <= head_dim; d++) {
    float element = keys[key * head_dim + d];
    squares += element * element;
  }
  norms[key] = sqrt(squares);
}
