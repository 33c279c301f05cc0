// rule: metal-standard-header
// at: 4
#include <metal_stdlib>
#include <cmath>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = sqrt(data[thread_index]);
}
