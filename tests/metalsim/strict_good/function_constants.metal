#include <metal_stdlib>
using namespace metal;

constant int size [[function_constant(0)]];
constant bool is_scaled [[function_constant(1)]];
constant int twice = 2 * size;
constant constexpr int maximum = 4;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float values[maximum];
  for (int i = 0; i < maximum; i++) {
    values[i] = i < size ? data[i] : 0.0f;
  }
  if (is_scaled) {
    values[0] *= float(twice);
  }
  data[thread_index] = values[0];
}
