// rule: metal-bfloat-function
// at: 7
#include <metal_stdlib>
using namespace metal;

kernel void f(device bfloat* data [[buffer(0)]]) {
  data[0] = bfloat(max(data[1], data[2]));
}
