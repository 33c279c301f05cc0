// rule: metal-as-type
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  half4 narrow = half4(1.0h);
  data[thread_index] = as_type<float4>(narrow).x;
}
