// expect: RaceError
// at: 13
// dispatch: {"threadgroups": [4], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 32], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// The splits of the keys add their partial output to device memory without atomics.
#include <metal_stdlib>
using namespace metal;

kernel void add_split(const device float* partial [[buffer(0)]], device float* out [[buffer(1)]],
                      uint split [[threadgroup_position_in_grid]], uint d [[thread_index_in_threadgroup]]) {
  out[d] += partial[split * 32 + d];
}
