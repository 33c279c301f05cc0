// rule: metal-kernel-parameter
// at: 7
#include <metal_stdlib>
using namespace metal;

kernel void place(device float* data [[buffer(0)]],
                  ushort3 position [[thread_position_in_threadgroup]], uint3 size [[threads_per_threadgroup]]) {
  data[0] = 1.0f;
}
