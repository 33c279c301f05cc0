// expect: OutOfBoundsError
// at: 16
// place: buffer 0, byte -4
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0},
//   "2": {"dtype": "float32", "values": [0.25]}
// }}
// The token before the first one does not exist, and is read all the same.
#include <metal_stdlib>
using namespace metal;

kernel void token_shift(const device float* hidden [[buffer(0)]], device float* mixed [[buffer(1)]],
                        constant float& ratio [[buffer(2)]], uint token [[thread_position_in_grid]]) {
  int previous = int(token) - 1;
  mixed[token] = ratio * hidden[token] + (1.0f - ratio) * hidden[previous];
}
