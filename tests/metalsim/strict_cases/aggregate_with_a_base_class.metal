// rule: metal-cxx17
// at: 16
#include <metal_stdlib>
using namespace metal;

struct Base {
  float first;
};

struct Derived : Base {
  float second;
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Derived pair{{1.0f}, 2.0f};
  data[thread_index] = pair.first + pair.second;
}
