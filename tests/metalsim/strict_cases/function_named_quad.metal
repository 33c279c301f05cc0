// rule: metal-reserved-type
// at: 6
#include <metal_stdlib>
using namespace metal;

inline float quad(float x) {
  return x * x * x * x;
}

kernel void raise(device float* data [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  data[thread_index] = quad(data[thread_index]);
}
