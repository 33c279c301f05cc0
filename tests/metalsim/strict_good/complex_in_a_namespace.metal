// language: 3.1
// Metal's headers keep this name at program scope and in their own namespace: PyTorch 2.15's c10/metal/common.h has it in another.
#include <metal_stdlib>

namespace outer {
namespace metal {
template <typename T> using complex = ::metal::vec<T, 2>;
}
} // namespace outer

kernel void f(device float* out [[buffer(0)]]) {
  outer::metal::complex<float> number = {1.0f, 2.0f};
  out[0] = number.x + number.y;
}
