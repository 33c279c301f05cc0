// rule: metal-bfloat-function
// at: 8
#include <metal_stdlib>
using namespace metal;

template <typename T>
static float sum(T value) {
  return simd_sum(value);
}

kernel void f(device bfloat* data [[buffer(0)]], device float* out [[buffer(1)]], uint lane [[thread_index_in_simdgroup]]) {
  out[0] = sum(data[lane]);
}
