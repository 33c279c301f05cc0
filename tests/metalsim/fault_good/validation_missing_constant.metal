// expect: nothing
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [8], "constants": {"is_causal": true}, "buffers": {
//   "0": {"dtype": "uint32", "values": [0, 0, 0, 0, 0, 0, 0, 0]},
//   "1": {"dtype": "uint32", "values": [8]}
// }}
// The kernel's function constant has a value.
#include <metal_stdlib>
using namespace metal;

constant bool is_causal [[function_constant(0)]];

kernel void visible_keys(device uint* visible [[buffer(0)]], constant uint& num_keys [[buffer(1)]],
                         uint row [[thread_position_in_grid]]) {
  visible[row] = is_causal ? min(row + 1, num_keys) : num_keys;
}
