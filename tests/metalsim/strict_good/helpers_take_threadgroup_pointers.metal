#include <metal_stdlib>
using namespace metal;

float exchange(threadgroup float* tile, uint thread_index, float value) {
  tile[thread_index] = value;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return tile[31 - thread_index];
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  data[thread_index] = exchange(tile, thread_index, data[thread_index]);
}
