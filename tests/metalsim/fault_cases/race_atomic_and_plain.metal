// expect: RaceError
// at: 15, 17
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "int32", "shape": [64], "fill": "arange"},
//   "1": {"dtype": "uint32", "values": [0]},
//   "2": {"dtype": "uint32", "shape": [64], "fill": 0}
// }}
// A counter that is raised with atomics is read without one, and without a barrier.
#include <metal_stdlib>
using namespace metal;

kernel void count_and_read(const device int* mask [[buffer(0)]], device atomic_uint* counter [[buffer(1)]],
                           device uint* counts [[buffer(2)]], uint t [[thread_index_in_threadgroup]]) {
  if (mask[t] % 2 == 0) {
    atomic_fetch_add_explicit(counter, 1u, memory_order_relaxed);
  }
  counts[t] = *(device uint*)counter;
}
