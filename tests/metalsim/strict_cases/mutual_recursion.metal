// rule: metal-recursion
// at: 8
#include <metal_stdlib>
using namespace metal;

bool is_odd(int value);

bool is_even(int value) {
  return value == 0 || is_odd(value - 1);
}

bool is_odd(int value) {
  return value != 0 && is_even(value - 1);
}

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = is_even(count) ? 1.0f : 0.0f;
}
