// rule: metal-program-scope-variable
// at: 6
#include <metal_stdlib>
using namespace metal;

constexpr int width = 32;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = width;
}
