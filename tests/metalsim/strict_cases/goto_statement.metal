// rule: metal-goto
// at: 11
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  again:
  data[thread_index] += 1.0f;
  if (data[thread_index] < 3.0f) {
    goto again;
  }
}
