// rule: metal-virtual
// at: 7
#include <metal_stdlib>
using namespace metal;

struct One {
  virtual float value() {
    return 1.0f;
  }
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  One one;
  data[thread_index] = one.value();
}
