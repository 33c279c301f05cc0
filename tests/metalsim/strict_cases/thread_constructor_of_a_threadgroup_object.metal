// rule: metal-method-address-space
// at: 12
#include <metal_stdlib>
using namespace metal;

struct Sum {
  float value;
  Sum() : value(0) {}
};

kernel void f(device float* data [[buffer(0)]], uint index [[thread_position_in_threadgroup]]) {
  threadgroup Sum sums[32];
  sums[index].value = data[index];
  data[index] = sums[31 - index].value;
}
