// rule: metal-method-address-space
// at: 13
#include <metal_stdlib>
using namespace metal;

struct Base {
  float value;
  float twice() const { return 2 * value; }
};
struct Derived : Base {};

static float read(const device Derived& object) {
  return object.twice();
}

kernel void f(device float* data [[buffer(0)]], const device Derived* objects [[buffer(1)]]) {
  data[0] = read(objects[0]);
}
