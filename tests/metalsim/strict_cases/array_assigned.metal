// rule: none
// at: 11
// report: gfx-rs/naga#640: "array type is not assignable"
#include <metal_stdlib>
using namespace metal;

constant float kRows[2] = {0.0f, 1.0f};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  float rows[2];
  rows = kRows;
  data[thread_index] = rows[0];
}
