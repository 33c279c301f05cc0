// rule: metal-program-scope-variable
// at: 6
#include <metal_stdlib>
using namespace metal;

static const float weights[4] = {1.0f, 2.0f, 3.0f, 4.0f};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = weights[thread_index & 3];
}
