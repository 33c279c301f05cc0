// rule: none
// at: 8
// report: KhronosGroup/SPIRV-Cross#2564: "subscripted value is not an array, pointer, or vector"
#include <metal_stdlib>
using namespace metal;

void set(device float& target) {
  target[2u] = 0.0f;
}

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  set(data[thread_index]);
}
