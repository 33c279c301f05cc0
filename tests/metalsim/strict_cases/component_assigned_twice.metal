// rule: metal-vector-component
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 values = float4(data[thread_index]);
  values.xx = float2(1.0f, 2.0f);
  data[thread_index] = values.x;
}
