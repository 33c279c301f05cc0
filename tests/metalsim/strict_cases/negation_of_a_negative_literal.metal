// rule: none
// at: 8
// report: gfx-rs/naga#1899: "expression is not assignable"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const int place = --321;
  data[thread_index] = place;
}
