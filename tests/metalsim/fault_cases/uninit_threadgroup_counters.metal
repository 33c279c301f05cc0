// expect: UninitializedReadError
// at: 14, 17
// dispatch: {"threadgroup_memory": {"0": 16}, "threadgroups": [1], "threads_per_threadgroup": [8], "buffers": {
//   "0": {"dtype": "uint32", "values": [0, 1, 2, 3, 0, 1, 2, 3]},
//   "1": {"dtype": "uint32", "values": [0, 0, 0, 0]}
// }}
// Tokens are counted by expert with atomics in threadgroup memory that nobody cleared.
#include <metal_stdlib>
using namespace metal;

kernel void count_by_expert(const device uint* experts [[buffer(0)]], device uint* counts [[buffer(1)]],
                            threadgroup atomic_uint* counters [[threadgroup(0)]],
                            uint t [[thread_index_in_threadgroup]]) {
  atomic_fetch_add_explicit(&counters[experts[t]], 1u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t < 4) {
    counts[t] = atomic_load_explicit(&counters[t], memory_order_relaxed);
  }
}
