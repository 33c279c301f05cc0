// rule: metal-vector-comparison
// at: 15
#include <metal_stdlib>
using namespace metal;

template <typename V>
float sum(V values) {
  return values.x + values.y;
}

kernel void copy(device float4* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 a = data[thread_index];
  float4 b = data[thread_index + 32];
  data[thread_index].x = sum(a < b);
}
