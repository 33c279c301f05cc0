// rule: metal-reserved-name
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void scale(device float* data [[buffer(0)]],
                  uint thread_index [[thread_position_in_grid]]) {
  float fragment = data[thread_index];
  data[thread_index] = 2.0f * fragment;
}
