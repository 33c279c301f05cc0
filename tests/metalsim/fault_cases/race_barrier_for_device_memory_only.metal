// expect: RaceError
// at: 14, 16
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [64], "fill": 0}
// }}
// Threadgroup memory is exchanged, but the barrier is for device memory.
#include <metal_stdlib>
using namespace metal;

kernel void rotate_pairs(const device float* query [[buffer(0)]], device float* rotated [[buffer(1)]],
                         uint t [[thread_index_in_threadgroup]]) {
  threadgroup float row[64];
  row[t] = query[t];
  threadgroup_barrier(mem_flags::mem_device);
  float other = row[(t + 32) % 64];
  rotated[t] = t < 32 ? query[t] - other : query[t] + other;
}
