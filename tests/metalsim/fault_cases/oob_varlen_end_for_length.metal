// expect: OutOfBoundsError
// at: 17
// place: buffer 0, byte 36
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [3], "buffers": {
//   "0": {"dtype": "float32", "shape": [9], "fill": "normal"},
//   "1": {"dtype": "int32", "values": [0, 3, 7, 9]},
//   "2": {"dtype": "float32", "shape": [3], "fill": 0}
// }}
// The end of a sequence among all tokens is taken for its length.
#include <metal_stdlib>
using namespace metal;

kernel void last_keys(const device float* keys [[buffer(0)]], const device int* cu_seqlens [[buffer(1)]],
                      device float* last [[buffer(2)]], uint sequence [[thread_position_in_grid]]) {
  int begin = cu_seqlens[sequence];
  int length = cu_seqlens[sequence + 1];
  last[sequence] = keys[begin + length - 1];
}
