// rule: metal-undeclared
// at: 8
// report: apache/tvm#8054: Metal has no erf
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = erf(data[thread_index]);
}
