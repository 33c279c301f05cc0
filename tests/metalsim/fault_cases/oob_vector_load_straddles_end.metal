// expect: OutOfBoundsError
// at: 15
// place: buffer 0, byte 48
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [4], "buffers": {
//   "0": {"dtype": "float32", "shape": [14], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [16], "fill": "normal"}
// }}
// The bias has 14 elements, which is no multiple of the four that a load takes: the last load straddles the
// end.
#include <metal_stdlib>
using namespace metal;

kernel void add_bias(const device float4* bias [[buffer(0)]], device float4* hidden [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) {
  hidden[i] += bias[i];
}
