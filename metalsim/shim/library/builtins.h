// The compiler's own functions behind Apple's headers. MLX makes its overloads for bfloat of them. The last argument of
// a mathematical one says whether fast arithmetic is allowed; here there is one arithmetic.
#pragma once

#include "math.h"
#include "simdgroup.h"

namespace metalsim::shim {

/// The bitwise reductions are of integers.
template <typename T> METALSIM_INLINE auto bitwise_operand(T value) {
  if constexpr (is_real<T>) {
    return static_cast<int>(value);
  } else {
    return value;
  }
}

} // namespace metalsim::shim

#include "metalsim_builtins.h" // written by generate.py

METALSIM_INLINE float __metal_fma(float x, float y, float z) {
  return metalsim::shim::scalar::fma(x, y, z);
}
METALSIM_INLINE float __metal_ldexp(float x, int exponent, bool) {
  return __builtin_ldexpf(x, exponent);
}
METALSIM_INLINE float __metal_nextafter(float x, float y) {
  return __builtin_nextafterf(x, y);
}
METALSIM_INLINE float __metal_frexp(float x, int* exponent) {
  return __builtin_frexpf(x, exponent);
}
METALSIM_INLINE ushort __metal_get_simdgroup_size(ushort) {
  return metalsim::abi::kSimdWidth;
}
METALSIM_INLINE ushort __metal_get_thread_index_in_simdgroup(ushort) {
  return metalsim::shim::lane();
}
