// rule: metal-new-delete
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  thread int* value = new int(3);
  data[thread_index] = *value;
}
