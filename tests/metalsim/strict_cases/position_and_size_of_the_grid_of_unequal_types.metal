// rule: metal-kernel-parameter
// at: 7
#include <metal_stdlib>
using namespace metal;

kernel void place(device float* data [[buffer(0)]],
                  uint position [[thread_position_in_grid]], ushort size [[threads_per_grid]]) {
  data[0] = 1.0f;
}
