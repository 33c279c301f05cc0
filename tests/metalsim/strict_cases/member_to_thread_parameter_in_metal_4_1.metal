// rule: metal-generic-this
// at: 14
// language: 4.1
#include <metal_stdlib>
using namespace metal;

static float sum(const thread float* values) {
  return values[0] + values[1];
}

template <typename T>
struct Pair {
  T values[2];
  float total() const { return sum(values); }
};

kernel void f(device float* data [[buffer(0)]]) {
  Pair<float> pair = {{data[0], data[1]}};
  data[0] = pair.total();
}
