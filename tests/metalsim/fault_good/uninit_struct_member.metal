// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8], "buffers": {
//   "0": {"dtype": "float32", "shape": [8, 5], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [8], "fill": 0},
//   "2": {"dtype": "uint32", "values": [5]}
// }}
// The running state of the softmax gets a maximum and a sum.
#include <metal_stdlib>
using namespace metal;

struct SoftmaxState {
  float maximum;
  float sum;
};

kernel void online_softmax(const device float* scores [[buffer(0)]], device float* lse [[buffer(1)]],
                           constant uint& num_keys [[buffer(2)]], uint row [[thread_position_in_grid]]) {
  SoftmaxState state;
  state.maximum = -INFINITY;
  state.sum = 0.0f;
  for (uint key = 0; key < num_keys; key++) {
    float score = scores[row * num_keys + key];
    float maximum = max(state.maximum, score);
    state.sum = state.sum * exp(state.maximum - maximum) + exp(score - maximum);
    state.maximum = maximum;
  }
  lse[row] = state.maximum + log(state.sum);
}
