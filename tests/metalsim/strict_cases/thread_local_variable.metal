// rule: metal-thread-local
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  thread_local int calls = 0;
  data[thread_index] = calls;
}
