// expect: ValidationError
// at: none
// dispatch: {"threadgroup_memory": {"0": 128}, "threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"struct": "<32f", "values": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
//     0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]}
// }}
// The output is bound to memory that cannot be written.
#include <metal_stdlib>
using namespace metal;

kernel void reverse_row(device float* row [[buffer(0)]], threadgroup float* staged [[threadgroup(0)]],
                        uint t [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]]) {
  staged[t] = row[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  row[t] = staged[size - 1 - t];
}
