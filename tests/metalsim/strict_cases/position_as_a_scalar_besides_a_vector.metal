// rule: metal-kernel-parameter
// at: 7
#include <metal_stdlib>
using namespace metal;

kernel void place(device float* data [[buffer(0)]],
                  uint3 group [[threadgroup_position_in_grid]], uint position [[thread_position_in_grid]]) {
  data[0] = 1.0f;
}
