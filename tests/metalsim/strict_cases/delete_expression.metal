// rule: metal-new-delete
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  thread int* value = nullptr;
  delete value;
  data[thread_index] = 1.0f;
}
