// rule: metal-dynamic-cast
// at: 18
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
  Derived derived;
  derived.first = data[thread_index];
  thread Base* base = dynamic_cast<thread Base*>(&derived);
  data[thread_index] = base->first;
}
