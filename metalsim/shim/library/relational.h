// Tests of numbers, and choices by them.
#pragma once

#include "vector_functions.h"

namespace metal {

#define METALSIM_TEST(NAME, RESULT)                                                                                    \
  METALSIM_INLINE constexpr bool NAME(float x) {                                                                       \
    return RESULT;                                                                                                     \
  }                                                                                                                    \
  METALSIM_INLINE constexpr bool NAME(half x) {                                                                        \
    return NAME(float(x));                                                                                             \
  }                                                                                                                    \
  template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>                                        \
  METALSIM_INLINE ::metalsim::shim::BoolVector<N> NAME(vec<T, N> x) {                                                  \
    ::metalsim::shim::BoolVector<N> result;                                                                            \
    for (int i = 0; i < N; ++i) {                                                                                      \
      result[i] = NAME(T(x[i]));                                                                                       \
    }                                                                                                                  \
    return result;                                                                                                     \
  }
METALSIM_TEST(isnan, __builtin_isnan(x))
METALSIM_TEST(isinf, __builtin_isinf(x) != 0)
METALSIM_TEST(isfinite, __builtin_isfinite(x))
/// Of the float that a half converts to; the half's own denormals are below its smallest normal number.
METALSIM_TEST(signbit, __builtin_bit_cast(uint, x) >> 31)
#undef METALSIM_TEST

METALSIM_INLINE constexpr bool isnormal(float x) {
  return __builtin_isnormal(x);
}
METALSIM_INLINE constexpr bool isnormal(half x) {
  return isfinite(x) && __builtin_fabsf(float(x)) >= 0x1p-14f;
}
template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>
METALSIM_INLINE ::metalsim::shim::BoolVector<N> isnormal(vec<T, N> x) {
  ::metalsim::shim::BoolVector<N> result;
  for (int i = 0; i < N; ++i) {
    result[i] = isnormal(T(x[i]));
  }
  return result;
}

#define METALSIM_TEST_OF_TWO(NAME, RESULT)                                                                             \
  METALSIM_INLINE constexpr bool NAME(float x, float y) {                                                              \
    return RESULT;                                                                                                     \
  }                                                                                                                    \
  METALSIM_INLINE constexpr bool NAME(half x, half y) {                                                                \
    return RESULT;                                                                                                     \
  }                                                                                                                    \
  template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>                                        \
  METALSIM_INLINE ::metalsim::shim::BoolVector<N> NAME(vec<T, N> x, vec<T, N> y) {                                     \
    ::metalsim::shim::BoolVector<N> result;                                                                            \
    for (int i = 0; i < N; ++i) {                                                                                      \
      result[i] = NAME(T(x[i]), T(y[i]));                                                                              \
    }                                                                                                                  \
    return result;                                                                                                     \
  }
METALSIM_TEST_OF_TWO(isordered, x == x && y == y)
METALSIM_TEST_OF_TWO(isunordered, x != x || y != y)
#undef METALSIM_TEST_OF_TWO

/// Of a vector of bool, a comparison's result, or one bool.
template <typename V> METALSIM_INLINE bool any(V x) {
  if constexpr (::metalsim::shim::VectorTraits<V>::is_vector) {
    bool result = false;
    for (int i = 0; i < ::metalsim::shim::VectorTraits<V>::width; ++i) {
      result = result || x[i] != 0;
    }
    return result;
  } else {
    return x;
  }
}
template <typename V> METALSIM_INLINE bool all(V x) {
  if constexpr (::metalsim::shim::VectorTraits<V>::is_vector) {
    bool result = true;
    for (int i = 0; i < ::metalsim::shim::VectorTraits<V>::width; ++i) {
      result = result && x[i] != 0;
    }
    return result;
  } else {
    return x;
  }
}

/// `if_true` where the condition holds.
template <typename T, METALSIM_REQUIRES(!::metalsim::shim::VectorTraits<T>::is_vector)>
METALSIM_INLINE constexpr T select(T if_false, T if_true, bool condition) {
  return condition ? if_true : if_false;
}
template <typename T, int N, typename C, METALSIM_REQUIRES(::metalsim::shim::VectorTraits<C>::width == N)>
METALSIM_INLINE vec<T, N> select(vec<T, N> if_false, vec<T, N> if_true, C condition) {
  vec<T, N> result;
  for (int i = 0; i < N; ++i) {
    result[i] = condition[i] ? if_true[i] : if_false[i];
  }
  return result;
}
template <typename T, int N> METALSIM_INLINE vec<T, N> select(vec<T, N> if_false, vec<T, N> if_true, bool condition) {
  return condition ? if_true : if_false;
}

} // namespace metal
