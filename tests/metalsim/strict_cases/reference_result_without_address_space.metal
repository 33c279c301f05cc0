// rule: metal-address-space
// at: 8
#include <metal_stdlib>
using namespace metal;

struct Counter {
  float total = 0.0f;
  Counter& add(float value) {
    total += value;
    return *this;
  }
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Counter counter;
  counter.add(1.0f).add(2.0f);
  data[thread_index] = counter.total;
}
