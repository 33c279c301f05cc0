// rule: metal-static-variable
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  static int calls = 0;
  calls++;
  data[thread_index] = calls;
}
