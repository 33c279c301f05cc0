// rule: metal-bfloat-conversion
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  bfloat value = bfloat(data[thread_index]);
  half other = value;
  data[thread_index] = other;
}
