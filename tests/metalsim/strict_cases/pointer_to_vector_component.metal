// rule: metal-vector-element-reference
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 values = float4(data[thread_index]);
  thread float* second = &values.y;
  data[thread_index] = *second;
}
