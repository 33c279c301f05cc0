// rule: metal-bfloat-conversion
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  bfloat scale = 0.5;
  data[thread_index] = float(scale) * data[thread_index];
}
