// rule: metal-reserved-name
// at: 6
#include <metal_stdlib>
using namespace metal;

inline float weighted(float value, float kernel) {
  return value * kernel;
}

kernel void weigh(device float* data [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  data[thread_index] = weighted(data[thread_index], 2.0f);
}
