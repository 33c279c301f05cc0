// rule: metal-reserved-name
// at: 7
#include <metal_stdlib>
using namespace metal;

// The shim makes nothing of `thread`: this would be a parameter without a name.
kernel void clear(device float* data [[buffer(0)]], uint thread [[thread_position_in_grid]]) {
  data[0] = 0.0f;
}
