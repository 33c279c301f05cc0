// expect: RaceError
// at: 14, 17
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [2, 64], "fill": "normal"}
// }}
// Thread 0 sets the scale of the next row while other threads still read this row's.
#include <metal_stdlib>
using namespace metal;

kernel void normalise_rows(device float* weights [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float scale;
  for (uint row = 0; row < 2; row++) {
    if (t == 0) {
      scale = 1.0f / weights[row * 64];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    weights[row * 64 + t] *= scale;
  }
}
