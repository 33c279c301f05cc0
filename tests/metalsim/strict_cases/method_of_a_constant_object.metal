// rule: metal-method-address-space
// at: 13
#include <metal_stdlib>
using namespace metal;

struct Line {
  float slope;
  float offset;
  float at(float x) const { return slope * x + offset; }
};

kernel void f(device float* data [[buffer(0)]], constant Line& line [[buffer(1)]]) {
  data[0] = line.at(data[0]);
}
