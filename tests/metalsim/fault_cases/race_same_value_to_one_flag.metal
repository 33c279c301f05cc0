// expect: RaceError
// at: 19
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "int32", "shape": [64], "fill": "arange"},
//   "1": {"dtype": "int32", "shape": [64], "fill": 0}
// }}
// Every thread that finds a visible key writes the same 1 to the same flag, without an atomic.
#include <metal_stdlib>
using namespace metal;

kernel void has_visible_key(const device int* mask [[buffer(0)]], device int* is_visible [[buffer(1)]],
                            uint t [[thread_index_in_threadgroup]]) {
  threadgroup int found;
  if (t == 0) {
    found = 0;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (mask[t] != 0) {
    found = 1;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  is_visible[t] = found;
}
