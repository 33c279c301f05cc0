// rule: metal-typeid
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = typeid(int) == typeid(float) ? 1.0f : 0.0f;
}
