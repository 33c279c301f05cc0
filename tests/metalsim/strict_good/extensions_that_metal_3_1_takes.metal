#include <metal_stdlib>
using namespace metal;

struct Pair {
  float first;
  float second;
};

namespace inner::nested {
inline constant constexpr float three = 3.0f;
}

template <typename... T>
float total(T... values) {
  return (values + ...);
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  if constexpr (is_same_v<float, float>) {
    data[thread_index] = total(1.0f, 2.0f, data[0]);
  }
  Pair pair{1.0f, 2.0f};
  auto [first, second] = pair;
  data[thread_index] += first + second + inner::nested::three;
}
