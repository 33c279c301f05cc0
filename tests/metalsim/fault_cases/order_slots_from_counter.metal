// expect: OrderDependenceError
// at: none
// place: buffer 1, byte 0
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "int32", "shape": [128], "fill": "arange"},
//   "1": {"dtype": "uint32", "shape": [128], "fill": 0}
// }}
// Visible keys are compacted: a counter hands out the slots in the order of coming.
#include <metal_stdlib>
using namespace metal;

kernel void compact_keys(const device int* mask [[buffer(0)]], device uint* visible [[buffer(1)]],
                         uint t [[thread_index_in_threadgroup]]) {
  threadgroup atomic_uint count;
  if (t == 0) {
    atomic_store_explicit(&count, 0u, memory_order_relaxed);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (mask[t] % 3 != 0) {
    uint slot = atomic_fetch_add_explicit(&count, 1u, memory_order_relaxed);
    visible[slot] = t;
  }
}
