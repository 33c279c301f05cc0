// expect: UninitializedReadError
// at: 27
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [16], "buffers": {
//   "0": {"dtype": "float32", "shape": [11], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [11], "fill": "normal"},
//   "2": {"dtype": "float32", "shape": [16], "fill": 0},
//   "3": {"dtype": "uint32", "values": [11]}
// }}
// Rows of the key tile behind the last key are skipped when it is staged, but take part in the product with
// weights of zero.
#include <metal_stdlib>
using namespace metal;

constant uint tile_keys = 16;

kernel void weighted_sum(const device float* weights [[buffer(0)]], const device float* values [[buffer(1)]],
                         device float* out [[buffer(2)]], constant uint& num_keys [[buffer(3)]],
                         uint t [[thread_index_in_threadgroup]]) {
  threadgroup float value_tile[tile_keys];
  if (t < num_keys) {
    value_tile[t] = values[t];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0.0f;
  for (uint key = 0; key < tile_keys; key++) {
    float weight = key < num_keys ? weights[key] : 0.0f;
    sum += weight * value_tile[key];
  }
  out[t] = sum;
}
