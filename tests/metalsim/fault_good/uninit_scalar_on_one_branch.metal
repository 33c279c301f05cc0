// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "uint32", "values": [20]}
// }}
// The bias is zero outside of the window.
#include <metal_stdlib>
using namespace metal;

kernel void add_window_bias(device float* scores [[buffer(0)]], constant uint& window [[buffer(1)]],
                            uint distance [[thread_position_in_grid]]) {
  float bias = 0.0f;
  if (distance < window) {
    bias = -0.5f * float(distance);
  }
  scores[distance] += bias;
}
