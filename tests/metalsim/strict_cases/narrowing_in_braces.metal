// rule: metal-narrowing
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float pair[2] = {count, 1.0f};
  data[thread_index] = pair[0] + pair[1];
}
