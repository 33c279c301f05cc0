// expect: ValidationError
// at: none
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"}
// }}
// The dispatch gives no length to the kernel's threadgroup memory.
#include <metal_stdlib>
using namespace metal;

kernel void reverse_row(device float* row [[buffer(0)]], threadgroup float* staged [[threadgroup(0)]],
                        uint t [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]]) {
  staged[t] = row[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  row[t] = staged[size - 1 - t];
}
