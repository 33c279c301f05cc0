// rule: metal-vector-constructor
// at: 9
// report: google/filament#5614: "no matching constructor for initialization of 'half3'"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const float2 uv = float2(data[0], data[1]);
  data[thread_index] = half3(uv, half(1.0)).x;
}
