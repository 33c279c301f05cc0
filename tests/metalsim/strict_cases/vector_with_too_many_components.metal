// rule: metal-vector-constructor
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  short2 extent = short2(8, 8, 0);
  data[thread_index] = extent.x;
}
