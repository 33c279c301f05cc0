// rule: metal-vector-element-reference
// at: 13
#include <metal_stdlib>
using namespace metal;

void increment(thread float& value) {
  value += 1.0f;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 values = float4(data[thread_index]);
  increment(values.x);
  data[thread_index] = values.x;
}
