// rule: metal-method-address-space
// at: 15
#include <metal_stdlib>
using namespace metal;

template <typename T>
struct Boxed {
  T value;
  operator T() const { return value; }
};

kernel void f(device float* data [[buffer(0)]], uint index [[thread_position_in_threadgroup]]) {
  threadgroup Boxed<float> boxes[8];
  boxes[index].value = data[index];
  data[index] = boxes[index];
}
