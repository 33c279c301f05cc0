// rule: metal-double
// at: 6
#include <metal_stdlib>
using namespace metal;

float narrow(double value) {
  return float(value);
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = narrow(1.0f);
}
