// expect: OrderDependenceError
// at: none
// place: buffer 1, byte 0
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [512], "buffers": {
//   "0": {"dtype": "float32", "shape": [512], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [1], "fill": 0}
// }}
// The simdgroups add their partial sums with float atomics: which order they come in decides the last bits.
#include <metal_stdlib>
using namespace metal;

kernel void sum_weights(const device float* weights [[buffer(0)]], device atomic_float* sum [[buffer(1)]],
                        uint t [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  float partial = simd_sum(weights[t]);
  if (lane == 0) {
    atomic_fetch_add_explicit(sum, partial, memory_order_relaxed);
  }
}
