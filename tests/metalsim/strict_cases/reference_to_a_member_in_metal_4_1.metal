// rule: metal-generic-this
// at: 9
// language: 4.1
#include <metal_stdlib>
using namespace metal;

struct Fragments {
  float values[4];
  thread float& at(short i) { return values[i]; }
};

kernel void f(device float* data [[buffer(0)]]) {
  Fragments fragments = {{1, 2, 3, 4}};
  fragments.at(1) = data[1];
  data[0] = fragments.values[1];
}
