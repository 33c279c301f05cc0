// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [28], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [28], "fill": 0},
//   "2": {"dtype": "uint32", "values": [7]}
// }}
// The grid is rounded up to a whole simdgroup, and the store is guarded.
#include <metal_stdlib>
using namespace metal;

kernel void scale_scores(const device float4* scores [[buffer(0)]], device float4* scaled [[buffer(1)]],
                         constant uint& count [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  float4 quad = scores[min(i, count - 1)];
  if (i < count) {
    scaled[i] = quad * 0.125f;
  }
}
