// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [256], "buffers": {
//   "0": {"dtype": "float32", "shape": [256], "fill": "normal"},
//   "1": {"dtype": "uint32", "values": [0]}
// }}
// Every simdgroup takes part in one maximum, whose bits are ordered as its values are, since they are positive.
#include <metal_stdlib>
using namespace metal;

kernel void row_maximum(const device float* scores [[buffer(0)]], device atomic_uint* maximum [[buffer(1)]],
                        uint t [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  float mine = simd_max(exp(scores[t]));
  if (lane == 0) {
    atomic_fetch_max_explicit(maximum, as_type<uint>(mine), memory_order_relaxed);
  }
}
