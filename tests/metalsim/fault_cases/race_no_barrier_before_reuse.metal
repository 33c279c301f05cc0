// expect: RaceError
// at: 16, 19
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [256], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// The next tile of keys is staged while slower simdgroups still read the last one.
#include <metal_stdlib>
using namespace metal;

kernel void sum_of_tiles(const device float* keys [[buffer(0)]], device float* sums [[buffer(1)]],
                         uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  float sum = 0.0f;
  for (uint start = 0; start < 256; start += 64) {
    tile[t] = keys[start + t];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint key = 0; key < 64; key++) {
      sum += tile[key] * float(t);
    }
  }
  sums[t] = sum;
}
