// rule: metal-cxx17
// at: 14
#include <metal_stdlib>
using namespace metal;

template <typename T>
struct Box {
  T value;
  Box(T v) : value(v) {}
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Box box(data[thread_index]);
  data[thread_index] = box.value;
}
