// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [3], "buffers": {
//   "0": {"dtype": "float32", "shape": [9], "fill": "normal"},
//   "1": {"dtype": "int32", "values": [0, 3, 7, 9]},
//   "2": {"dtype": "float32", "shape": [3], "fill": 0}
// }}
// A sequence's length is its end less its begin.
#include <metal_stdlib>
using namespace metal;

kernel void last_keys(const device float* keys [[buffer(0)]], const device int* cu_seqlens [[buffer(1)]],
                      device float* last [[buffer(2)]], uint sequence [[thread_position_in_grid]]) {
  int begin = cu_seqlens[sequence];
  int length = cu_seqlens[sequence + 1] - begin;
  last[sequence] = keys[begin + length - 1];
}
