// expect: DivergenceError
// also: RaceError
// at: 23
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float32", "shape": [128], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [3], "fill": 0},
//   "2": {"dtype": "uint32", "values": [3]}
// }}
// Simdgroups without a tile of their own skip the barrier that the others wait at.
#include <metal_stdlib>
using namespace metal;

kernel void sum_tiles(const device float* tiles [[buffer(0)]], device float* sums [[buffer(1)]],
                      constant uint& num_tiles [[buffer(2)]], uint t [[thread_index_in_threadgroup]],
                      uint lane [[thread_index_in_simdgroup]],
                      uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float partial[4];
  if (simdgroup < num_tiles) {
    float sum = simd_sum(tiles[t]);
    if (lane == 0) {
      partial[simdgroup] = sum;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (t < num_tiles) {
    sums[t] = partial[t];
  }
}
