// rule: metal-kernel-call
// at: 11
#include <metal_stdlib>
using namespace metal;

kernel void clear(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = 0.0f;
}

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  clear(data, thread_index);
}
