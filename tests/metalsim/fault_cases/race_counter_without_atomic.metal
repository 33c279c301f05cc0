// expect: RaceError
// at: 19
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "int32", "shape": [64], "fill": "arange"},
//   "1": {"dtype": "uint32", "values": [0]}
// }}
// Visible keys are counted in threadgroup memory by read, add and write, without an atomic.
#include <metal_stdlib>
using namespace metal;

kernel void count_visible(const device int* mask [[buffer(0)]], device uint* count [[buffer(1)]],
                          uint t [[thread_index_in_threadgroup]]) {
  threadgroup uint visible;
  if (t == 0) {
    visible = 0;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (mask[t] > 20) {
    visible += 1;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t == 0) {
    count[0] = visible;
  }
}
