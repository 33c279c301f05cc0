// bool2, bool3 and bool4, and what a function needs to know about a vector of whatever kind.
//
// clang packs an ext_vector_type of bool into bits and gives it no components, and a comparison of two vectors yields a
// vector of signed integers that are 0 or -1. So Metal's vectors of bool are a class here, with Metal's size, to which
// the result of a comparison converts. Two gaps remain: `auto` keeps a comparison's integers, and swizzles of several
// components
// (`.xy`) do not exist.
#pragma once

#include "type_traits.h"

namespace metalsim::shim {

template <int N> struct BoolElements;
template <> struct alignas(2) BoolElements<2> {
  bool x, y;
};
template <> struct alignas(4) BoolElements<3> {
  bool x, y, z;
};
template <> struct alignas(4) BoolElements<4> {
  bool x, y, z, w;
};

template <int N> struct BoolVector : BoolElements<N> {
  BoolVector() = default;
  METALSIM_INLINE constexpr BoolVector(bool all) : BoolVector(all, metal::make_index_sequence<N>()) {}
  template <typename... B, METALSIM_REQUIRES(sizeof...(B) == N)>
  METALSIM_INLINE constexpr BoolVector(B... each) : BoolElements<N>{static_cast<bool>(each)...} {}
  /// The result of a comparison.
  template <typename T, METALSIM_REQUIRES(__is_integral(T))> METALSIM_INLINE BoolVector(metal::vec<T, N> comparison) {
    for (int i = 0; i < N; ++i) {
      (*this)[i] = comparison[i] != 0;
    }
  }

  METALSIM_INLINE operator metal::vec<bool, N>() const {
    metal::vec<bool, N> bits;
    for (int i = 0; i < N; ++i) {
      bits[i] = (*this)[i];
    }
    return bits;
  }
  METALSIM_INLINE bool& operator[](int i) { return (&this->x)[i]; }
  METALSIM_INLINE const bool& operator[](int i) const { return (&this->x)[i]; }

#define METALSIM_BOOL_OPERATOR(OPERATOR)                                                                               \
  friend METALSIM_INLINE BoolVector operator OPERATOR(BoolVector a, BoolVector b) {                                    \
    BoolVector result;                                                                                                 \
    for (int i = 0; i < N; ++i) {                                                                                      \
      result[i] = a[i] OPERATOR b[i];                                                                                  \
    }                                                                                                                  \
    return result;                                                                                                     \
  }
  METALSIM_BOOL_OPERATOR(&&)
  METALSIM_BOOL_OPERATOR(||)
  METALSIM_BOOL_OPERATOR(&)
  METALSIM_BOOL_OPERATOR(|)
  METALSIM_BOOL_OPERATOR(^)
  METALSIM_BOOL_OPERATOR(==)
  METALSIM_BOOL_OPERATOR(!=)
#undef METALSIM_BOOL_OPERATOR
  friend METALSIM_INLINE BoolVector operator!(BoolVector a) { return a == BoolVector(false); }

private:
  template <size_t... I>
  METALSIM_INLINE constexpr BoolVector(bool all, metal::integer_sequence<size_t, I...>)
      : BoolElements<N>{(static_cast<void>(I), all)...} {}
};

} // namespace metalsim::shim

typedef metalsim::shim::BoolVector<2> bool2;
typedef metalsim::shim::BoolVector<3> bool3;
typedef metalsim::shim::BoolVector<4> bool4;

namespace metal {
using ::bool2;
using ::bool3;
using ::bool4;
} // namespace metal

namespace metalsim::shim {

/// How many components of what a value has. A scalar has one.
template <typename T> struct VectorTraits {
  using Element = T;
  static constexpr int width = 1;
  static constexpr bool is_vector = false;
};
template <typename T, int N> struct VectorTraits<metal::vec<T, N>> {
  using Element = T;
  static constexpr int width = N;
  static constexpr bool is_vector = true;
};
template <int N> struct VectorTraits<BoolVector<N>> {
  using Element = bool;
  static constexpr int width = N;
  static constexpr bool is_vector = true;
};

template <typename T>
inline constexpr bool is_number = (__is_integral(T) && !__is_same(T, bool)) || is_floating_number<T>;
/// What the mathematical functions exist for: Apple's library has none for bfloat.
template <typename T> inline constexpr bool is_real = __is_same(T, float) || __is_same(T, half);
template <typename T> inline constexpr bool is_integer = __is_integral(T) && !__is_same(T, bool);

} // namespace metalsim::shim
