// rule: metal-exceptions
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  if (count < 0) {
    throw 1;
  }
  data[thread_index] = 1.0f;
}
