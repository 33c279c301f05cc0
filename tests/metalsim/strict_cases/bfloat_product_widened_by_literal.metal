// rule: metal-bfloat-conversion
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  bfloat value = bfloat(data[thread_index]);
  bfloat scaled = value * 0.5;
  data[thread_index] = float(scaled);
}
