// expect: RaceError
// at: 20, 25
// dispatch: {"threadgroups": [4], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [128], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [4], "fill": 0},
//   "2": {"dtype": "uint32", "values": [0]},
//   "3": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// The last threadgroup, found with a relaxed atomic, reads the partial sums of the others, which the atomic
// does not order.
#include <metal_stdlib>
using namespace metal;

kernel void merge_splits(const device float* weights [[buffer(0)]], device float* partial_sums [[buffer(1)]],
                         device atomic_uint* done [[buffer(2)]], device float* sum [[buffer(3)]],
                         uint split [[threadgroup_position_in_grid]], uint splits [[threadgroups_per_grid]],
                         uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]) {
  float partial_sum = simd_sum(weights[i]);
  if (lane == 0) {
    partial_sums[split] = partial_sum;
    uint before = atomic_fetch_add_explicit(done, 1u, memory_order_relaxed);
    if (before == splits - 1) {
      float total = 0.0f;
      for (uint s = 0; s < splits; s++) {
        total += partial_sums[s];
      }
      sum[0] = total;
    }
  }
}
