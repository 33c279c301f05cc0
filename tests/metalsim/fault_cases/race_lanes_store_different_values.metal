// expect: RaceError
// at: 14
// dispatch: {"threadgroups": [2], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [2], "fill": 0}
// }}
// The sum over the simdgroup was forgotten: all lanes store their own part into the row's one element.
#include <metal_stdlib>
using namespace metal;

kernel void row_sum(const device float* weights [[buffer(0)]], device float* sum [[buffer(1)]],
                    uint row [[threadgroup_position_in_grid]], uint i [[thread_position_in_grid]]) {
  float total = weights[i];
  sum[row] = total;
}
