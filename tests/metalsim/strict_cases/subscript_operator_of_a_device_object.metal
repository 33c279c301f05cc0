// rule: metal-method-address-space
// at: 13
#include <metal_stdlib>
using namespace metal;

struct Row {
  float data[12];
  float operator[](int i) const { return data[i]; }
  float operator[](int i) const constant { return data[i]; }
};

kernel void f(device float* data [[buffer(0)]], const device Row* rows [[buffer(1)]]) {
  data[0] = rows[3][2];
}
