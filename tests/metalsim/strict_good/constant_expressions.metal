// constexpr functions and variables that need none of Metal's functions, or not always.
#include <metal_stdlib>
using namespace metal;

constexpr int larger(int a, int b) { return a > b ? a : b; }
constexpr float bounded(float value) { return value < 4.0f ? value : fmod(value, 4.0f); }
constexpr int places(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += i;
  }
  return sum;
}
template <typename T> constexpr T rest(T value) { return fmod(value, T(4)); }

constant constexpr int kRows = larger(8, 4);
constant float kLargest = numeric_limits<float>::max();

template <typename T> struct Limits {
  static const constant T top = numeric_limits<T>::max();
  static constexpr constant int size = sizeof(T);
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  constexpr float4 ones = float4(1.0f);
  float rows[places(kRows)];
  rows[0] = bounded(data[thread_index]) + rest(data[0]);
  data[thread_index] = rows[0] + ones.x + min(kLargest, float(Limits<int>::top) + Limits<half>::size);
}
