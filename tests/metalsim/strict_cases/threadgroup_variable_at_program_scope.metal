// rule: metal-threadgroup-variable
// at: 6
#include <metal_stdlib>
using namespace metal;

threadgroup float tile[32];

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  tile[thread_index] = data[thread_index];
  data[thread_index] = tile[0];
}
