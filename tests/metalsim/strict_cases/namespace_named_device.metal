// rule: metal-reserved-name
// at: 6
#include <metal_stdlib>
using namespace metal;

namespace device {
inline float twice(float x) { return 2.0f * x; }
} // namespace device

kernel void clear(device float* data [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  data[thread_index] = 0.0f;
}
