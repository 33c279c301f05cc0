// expect: RaceError
// at: 19, 23
// dispatch: {"threadgroups": [3], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [96], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [1], "fill": 0},
//   "2": {"dtype": "float32", "shape": [96], "fill": 0}
// }}
// The first threadgroup publishes the maximum in device memory, and the others read it in the same dispatch.
#include <metal_stdlib>
using namespace metal;

kernel void subtract_maximum(const device float* scores [[buffer(0)]], device float* maximum [[buffer(1)]],
                             device float* shifted [[buffer(2)]], uint group [[threadgroup_position_in_grid]],
                             uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]) {
  float score = scores[i];
  float mine = simd_max(score);
  if (group == 0) {
    if (lane == 0) {
      maximum[0] = mine;
    }
    shifted[i] = score - mine;
  } else {
    shifted[i] = score - maximum[0];
  }
}
