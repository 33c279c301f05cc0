// expect: nothing
// dispatch: {"threadgroups": [2], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [2], "fill": 0}
// }}
// All lanes store the same sum with one instruction, which may write an element many times.
#include <metal_stdlib>
using namespace metal;

kernel void row_sum(const device float* weights [[buffer(0)]], device float* sum [[buffer(1)]],
                    uint row [[threadgroup_position_in_grid]], uint i [[thread_position_in_grid]]) {
  float total = simd_sum(weights[i]);
  sum[row] = total;
}
