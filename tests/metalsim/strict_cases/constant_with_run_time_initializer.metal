// rule: metal-constant-initializer
// at: 10
#include <metal_stdlib>
using namespace metal;

float half_of(float value) {
  return value / 2.0f;
}

constant float scale = half_of(3.0f);

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = scale;
}
