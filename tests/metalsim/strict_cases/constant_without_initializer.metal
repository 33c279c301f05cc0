// rule: metal-constant-initializer
// at: 6
#include <metal_stdlib>
using namespace metal;

constant float scale;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = scale;
}
