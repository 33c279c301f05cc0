// rule: metal-cxx20
// at: 7
// language: 4.0
#include <metal_stdlib>
using namespace metal;

consteval int three() {
  return 3;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = three();
}
