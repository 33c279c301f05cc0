// rule: metal-array-typedef-address-space
// at: 8
#include <metal_stdlib>
using namespace metal;

typedef float Scores[2][4];

static float first(const thread Scores& scores) {
  return scores[0][0];
}

kernel void f(device float* data [[buffer(0)]]) {
  Scores scores = {{data[0]}};
  data[1] = first(scores);
}
