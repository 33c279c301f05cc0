// expect: OrderDependenceError
// at: none
// place: buffer 2, byte 0
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float32", "shape": [128], "fill": "normal"},
//   "1": {"dtype": "uint32", "values": [0]},
//   "2": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// The first simdgroup to raise the flag writes the row's result, whichever it is.
#include <metal_stdlib>
using namespace metal;

kernel void first_result(const device float* scores [[buffer(0)]], device atomic_uint* taken [[buffer(1)]],
                         device float* result [[buffer(2)]], uint t [[thread_index_in_threadgroup]],
                         uint lane [[thread_index_in_simdgroup]]) {
  float sum = simd_sum(scores[t]);
  if (lane == 0 && atomic_exchange_explicit(taken, 1u, memory_order_relaxed) == 0) {
    result[0] = sum;
  }
}
