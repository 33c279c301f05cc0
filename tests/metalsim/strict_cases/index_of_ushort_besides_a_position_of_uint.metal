// rule: metal-kernel-parameter
// at: 7
#include <metal_stdlib>
using namespace metal;

kernel void place(device float* data [[buffer(0)]],
                  uint2 position [[thread_position_in_threadgroup]], ushort index [[thread_index_in_threadgroup]]) {
  data[0] = 1.0f;
}
