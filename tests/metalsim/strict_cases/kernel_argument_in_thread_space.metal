// rule: metal-kernel-parameter
// at: 7
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 thread float* scratch [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = scratch[0];
}
