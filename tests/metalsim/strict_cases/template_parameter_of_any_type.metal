// rule: metal-cxx17
// at: 6
#include <metal_stdlib>
using namespace metal;

template <auto N>
float value_of() {
  return N;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = value_of<3>();
}
