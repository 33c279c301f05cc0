// rule: metal-bfloat-function
// at: 7
#include <metal_stdlib>
using namespace metal;

kernel void f(device bfloat* data [[buffer(0)]], device float* out [[buffer(1)]]) {
  out[0] = precise::exp2(data[0]);
}
