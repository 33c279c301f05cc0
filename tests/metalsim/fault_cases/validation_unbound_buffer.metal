// expect: ValidationError
// at: none
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// Nothing is bound to the scale.
#include <metal_stdlib>
using namespace metal;

kernel void scale_scores(const device float4* scores [[buffer(0)]], device float4* scaled [[buffer(1)]],
                         constant float& scale [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  scaled[i] = scores[i] * scale;
}
