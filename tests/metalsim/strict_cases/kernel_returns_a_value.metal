// rule: metal-kernel
// at: 6
#include <metal_stdlib>
using namespace metal;

kernel int copy(device float* data [[buffer(0)]]) {
  return int(data[0]);
}
