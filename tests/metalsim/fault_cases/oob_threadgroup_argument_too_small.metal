// expect: OutOfBoundsError
// at: 12, 14
// dispatch: {"threadgroup_memory": {"0": 64}, "threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"}
// }}
// The dispatch gives the kernel 64 bytes of threadgroup memory, half of what its 32 threads stage.
#include <metal_stdlib>
using namespace metal;

kernel void reverse_row(device float* row [[buffer(0)]], threadgroup float* staged [[threadgroup(0)]],
                        uint t [[thread_index_in_threadgroup]]) {
  staged[t] = row[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  row[t] = staged[31 - t];
}
