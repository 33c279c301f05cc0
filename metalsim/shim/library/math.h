// The mathematical and common functions: tables of overloads, and those that return a second value through a reference.
#pragma once

#include "scalar_math.h"
#include "vector_functions.h"

#include "metalsim_math.h" // written by generate.py

namespace metal {

METALSIM_INLINE float ldexp(float x, int exponent) {
  return __builtin_ldexpf(x, exponent);
}
METALSIM_INLINE half ldexp(half x, int exponent) {
  return half(__builtin_ldexpf(float(x), exponent));
}
METALSIM_INLINE int ilogb(float x) {
  return __builtin_ilogbf(x);
}
METALSIM_INLINE int ilogb(half x) {
  return __builtin_ilogbf(float(x));
}
METALSIM_INLINE float frexp(float x, int& exponent) {
  return __builtin_frexpf(x, &exponent);
}
METALSIM_INLINE half frexp(half x, int& exponent) {
  return half(__builtin_frexpf(float(x), &exponent));
}
METALSIM_INLINE float modf(float x, float& whole) {
  return __builtin_modff(x, &whole);
}
METALSIM_INLINE half modf(half x, half& whole) {
  float part;
  const half fraction = half(__builtin_modff(float(x), &part));
  whole = half(part);
  return fraction;
}
METALSIM_INLINE float sincos(float x, float& cosine) {
  cosine = cos(x);
  return sin(x);
}
METALSIM_INLINE half sincos(half x, half& cosine) {
  cosine = cos(x);
  return sin(x);
}

template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>
METALSIM_INLINE vec<T, N> ldexp(vec<T, N> x, typename type_identity<vec<int, N>>::type exponent) {
  vec<T, N> result;
  for (int i = 0; i < N; ++i) {
    result[i] = ldexp(T(x[i]), exponent[i]);
  }
  return result;
}
template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>
METALSIM_INLINE vec<int, N> ilogb(vec<T, N> x) {
  vec<int, N> result;
  for (int i = 0; i < N; ++i) {
    result[i] = ilogb(T(x[i]));
  }
  return result;
}

/// A function with a second result, by components.
#define METALSIM_TWO_RESULTS(NAME, SECOND)                                                                             \
  template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>                                        \
  METALSIM_INLINE vec<T, N> NAME(vec<T, N> x, vec<SECOND, N>& second) {                                                \
    vec<T, N> result;                                                                                                  \
    for (int i = 0; i < N; ++i) {                                                                                      \
      SECOND component;                                                                                                \
      result[i] = NAME(T(x[i]), component);                                                                            \
      second[i] = component;                                                                                           \
    }                                                                                                                  \
    return result;                                                                                                     \
  }
METALSIM_TWO_RESULTS(frexp, int)
METALSIM_TWO_RESULTS(modf, T)
METALSIM_TWO_RESULTS(sincos, T)
#undef METALSIM_TWO_RESULTS

namespace fast {
using ::metal::sincos;
} // namespace fast
namespace precise {
using ::metal::sincos;
} // namespace precise

} // namespace metal
