// rule: metal-bfloat-negation
// at: 8
#include <metal_stdlib>
using namespace metal;

template <typename T>
static vec<T, 2> negated(vec<T, 2> pair) {
  return -pair;
}

kernel void f(device bfloat2* data [[buffer(0)]]) {
  data[0] = negated(data[1]);
}
