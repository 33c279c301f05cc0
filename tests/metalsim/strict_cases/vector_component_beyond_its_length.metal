// rule: metal-vector-component
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float2 pair = float2(data[thread_index]);
  data[thread_index] = pair.z;
}
