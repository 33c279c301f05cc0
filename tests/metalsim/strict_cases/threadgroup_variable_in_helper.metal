// rule: metal-threadgroup-variable
// at: 7
#include <metal_stdlib>
using namespace metal;

float exchange(uint thread_index, float value) {
  threadgroup float tile[32];
  tile[thread_index] = value;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return tile[31 - thread_index];
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = exchange(thread_index, data[thread_index]);
}
