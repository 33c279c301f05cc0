// rule: metal-bfloat
// at: 9
// language: 3.0
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  bfloat narrow = bfloat(data[thread_index]);
  data[thread_index] = float(narrow);
}
