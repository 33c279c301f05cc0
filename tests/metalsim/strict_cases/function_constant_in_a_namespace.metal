// rule: metal-function-constant-namespace
// at: 7
#include <metal_stdlib>
using namespace metal;

namespace options {
constant bool doubles [[function_constant(0)]];
}

kernel void f(device float* data [[buffer(0)]]) {
  data[0] *= options::doubles ? 2.0f : 1.0f;
}
