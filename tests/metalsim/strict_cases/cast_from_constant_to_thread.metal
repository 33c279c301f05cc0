// rule: metal-address-space-cast
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  thread int* writable = (thread int*)&count;
  *writable = 3;
  data[thread_index] = count;
}
