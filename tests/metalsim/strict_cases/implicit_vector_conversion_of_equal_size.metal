// rule: metal-vector-conversion
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  int4 integers = int4(1);
  uint4 others = integers;
  data[thread_index] = float(others.x);
}
