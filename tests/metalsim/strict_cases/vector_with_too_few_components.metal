// rule: metal-vector-constructor
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 values = float4(data[0], data[1]);
  data[thread_index] = values.x;
}
