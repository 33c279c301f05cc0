// expect: OutOfBoundsError
// at: 20
// place: buffer 0, byte 36
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [4], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 2], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [4], "fill": 0}
// }}
// The kernel's struct has a member that the host's has not: its third element lies past the host's buffer.
#include <metal_stdlib>
using namespace metal;

struct SplitState {
  float maximum;
  float sum;
  ulong tokens;
};

kernel void merge_sums(const device SplitState* states [[buffer(0)]], device float* sums [[buffer(1)]],
                       uint split [[thread_position_in_grid]]) {
  float sum = states[split].sum;
  sums[split] = exp2(float(split)) * sum;
}
