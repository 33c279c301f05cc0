#include <metal_stdlib>
using namespace metal;

struct Base {
  float first;
};

struct Derived : Base {
  float second;
};

template <bool B>
struct truth : bool_constant<B> {};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Derived value;
  value.first = data[thread_index];
  value.second = 1.0f;
  data[thread_index] = value.first + value.second + (truth<true>::value ? 1.0f : 0.0f);
}
