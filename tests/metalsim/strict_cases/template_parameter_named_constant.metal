// rule: metal-reserved-name
// at: 5
#include <metal_stdlib>
using namespace metal;
template <int constant>
inline float offset() {
  return 1.0f;
}

kernel void shift(device float* data [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  data[thread_index] += offset<3>();
}
