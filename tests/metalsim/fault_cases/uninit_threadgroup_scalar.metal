// expect: UninitializedReadError
// at: 19
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8], "buffers": {
//   "0": {"dtype": "int32", "values": [5, 4, 7, 9, 3, 8, 6, 5]},
//   "1": {"dtype": "uint32", "values": [0, 0, 0, 0, 0, 0, 0, 0]}
// }}
// The length of the sequence is shared by the thread that finds its end, but for a sequence without one nobody
// does.
#include <metal_stdlib>
using namespace metal;

kernel void count_tokens(const device int* tokens [[buffer(0)]], device uint* lengths [[buffer(1)]],
                         uint t [[thread_index_in_threadgroup]]) {
  threadgroup uint length;
  if (tokens[t] == 2) {
    length = t;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  lengths[t] = length;
}
