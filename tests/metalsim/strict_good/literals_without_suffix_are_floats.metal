#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  half narrow = half(data[thread_index]) * 0.5;
  float wide = 1e-3 * data[thread_index] + 2. + .5;
  half other = 0.25h + narrow;
  bfloat brain = 0.5bf;
  bfloat zero = 0;
  brain = bfloat(brain * 2.0) + zero;
  data[thread_index] = wide + narrow + other + float(brain);
}
