// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8], "buffers": {
//   "0": {"dtype": "float32", "shape": [8], "fill": "normal"},
//   "1": {"struct": "<3If", "values": [2, 4, 64, 0.125]}
// }}
// The host's struct has all members of the kernel's.
#include <metal_stdlib>
using namespace metal;

struct Params {
  uint num_heads;
  uint num_keys;
  uint head_dim;
  float scale;
};

kernel void scale_scores(device float* scores [[buffer(0)]], constant Params& params [[buffer(1)]],
                         uint i [[thread_position_in_grid]]) {
  if (i < params.num_heads * params.num_keys) {
    scores[i] *= params.scale;
  }
}
