// rule: metal-address-space
// at: 6
#include <metal_stdlib>
using namespace metal;

using Pointer = const float*;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Pointer row = nullptr;
  data[thread_index] = row == nullptr ? 1.0f : 2.0f;
}
