// language: 4.0
#include <metal_stdlib>
using namespace metal;

template <typename T>
struct Box {
  T value;
  Box(T v) : value(v) {}
};

template <auto N>
float value_of() {
  return N;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Box box(data[thread_index]);
  data[thread_index] = box.value + value_of<3>();
}
