// rule: metal-variable-length-array
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  int size = count;
  float values[size];
  values[0] = data[thread_index];
  data[thread_index] = values[0];
}
