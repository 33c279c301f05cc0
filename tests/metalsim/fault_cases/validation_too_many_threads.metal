// expect: ValidationError
// at: none
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float32", "shape": [128], "fill": "normal"}
// }}
// The kernel was compiled for 64 threads in a threadgroup, and is dispatched with 128.
#include <metal_stdlib>
using namespace metal;

[[max_total_threads_per_threadgroup(64)]] kernel void exponentials(device float* scores [[buffer(0)]],
                                                                   uint i [[thread_position_in_grid]]) {
  scores[i] = exp(scores[i]);
}
