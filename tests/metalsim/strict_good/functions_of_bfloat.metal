#include <metal_stdlib>
using namespace metal;

namespace metal {
METAL_FUNC bfloat max(bfloat x, bfloat y) {
  return bfloat(max(float(x), float(y)));
}
METAL_FUNC bfloat simd_sum(bfloat x) {
  return bfloat(simd_sum(float(x)));
}
} // namespace metal

kernel void f(device bfloat* data [[buffer(0)]], device bfloat2* pairs [[buffer(1)]]) {
  const bfloat x = data[0], y = data[1];
  data[2] = simd_sum(max(x, y));
  data[3] = isnan(x) || isinf(y) || isunordered(x, y) ? -x : select(x, y, x < y);
  // Functions of floating numbers alone: candle compiles such calls.
  data[4] = bfloat(exp(float(x)) + fma(x, y, bfloat(1.0f)) + fast::divide(x, y) + precise::exp2(x));
  pairs[1] = as_type<bfloat2>(as_type<uint>(pairs[0]) ^ 0x80008000u);
  pairs[2] = bfloat2(-float2(pairs[0]));
}
