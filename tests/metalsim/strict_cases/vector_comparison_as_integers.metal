// rule: metal-vector-comparison
// at: 10
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float4* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 a = data[thread_index];
  float4 b = data[thread_index + 32];
  int4 counts = int4(a < b);
  data[thread_index] = float4(counts);
}
