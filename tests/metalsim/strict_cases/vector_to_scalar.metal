// rule: metal-conversion
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 values = float4(data[thread_index]);
  float first = values;
  data[thread_index] = first;
}
