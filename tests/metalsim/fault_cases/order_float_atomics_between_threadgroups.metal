// expect: OrderDependenceError
// at: none
// place: buffer 1
// dispatch: {"threadgroups": [16], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [16, 32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// The splits of the keys add their partial output with float atomics: which order they come in decides the last
// bits.
#include <metal_stdlib>
using namespace metal;

kernel void add_split(const device float* partial [[buffer(0)]], device atomic_float* out [[buffer(1)]],
                      uint split [[threadgroup_position_in_grid]], uint d [[thread_index_in_threadgroup]]) {
  atomic_fetch_add_explicit(&out[d], partial[split * 32 + d], memory_order_relaxed);
}
