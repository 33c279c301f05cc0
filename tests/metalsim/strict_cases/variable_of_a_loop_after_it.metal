// rule: metal-undeclared
// at: 11
// report: pytorch/pytorch#152155: "use of undeclared identifier"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  for (uint i = 0; i < 4; ++i) {
    const float last = data[i];
  }
  data[thread_index] = last;
}
