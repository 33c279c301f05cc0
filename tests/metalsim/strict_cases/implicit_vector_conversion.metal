// rule: metal-vector-conversion
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  half4 narrow = half4(1.0h);
  float4 wide = narrow;
  data[thread_index] = wide.x;
}
