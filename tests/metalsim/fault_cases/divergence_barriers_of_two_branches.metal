// expect: DivergenceError
// at: 17, 20
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [64], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// Loading and computing simdgroups wait at two different barriers, each in its own branch.
#include <metal_stdlib>
using namespace metal;

kernel void specialised(const device float* keys [[buffer(0)]], device float* out [[buffer(1)]],
                        uint t [[thread_index_in_threadgroup]],
                        uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float tile[32];
  if (simdgroup == 0) {
    tile[t] = keys[t];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  } else {
    float scale = exp(float(t));
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[t - 32] = tile[t - 32] * scale;
  }
}
