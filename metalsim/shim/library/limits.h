// metal::numeric_limits, and for half and bfloat what the preprocessor has for float.
#pragma once

#include "type_traits.h"

namespace metal {

enum float_round_style { round_indeterminate = -1, round_toward_zero = 0, round_to_nearest = 1 };

/// Apple's library has a template of this name, which candle's kernels specialise for types of their own.
template <typename T, typename Enable = void> struct _numeric_limits_impl {
  static constexpr bool is_specialized = false;
};
template <typename T> struct numeric_limits : _numeric_limits_impl<T> {};

template <typename T> struct numeric_limits<const T> : numeric_limits<T> {};
template <typename T> struct numeric_limits<METALSIM_DEVICE_SPACE T> : numeric_limits<remove_cv_t<T>> {};
template <typename T> struct numeric_limits<const METALSIM_CONSTANT_SPACE T> : numeric_limits<T> {};

template <typename T> struct _numeric_limits_impl<T, enable_if_t<__is_integral(T)>> {
  static constexpr bool is_specialized = true;
  static constexpr bool is_signed = __is_signed(T);
  static constexpr bool is_integer = true;
  static constexpr bool is_exact = true;
  static constexpr bool has_infinity = false;
  static constexpr bool has_quiet_NaN = false;
  static constexpr bool is_bounded = true;
  static constexpr bool is_modulo = !is_signed;
  static constexpr int radix = 2;
  static constexpr int digits = __is_same(T, bool) ? 1 : static_cast<int>(sizeof(T)) * 8 - is_signed;
  static constexpr int digits10 = digits * 643 / 2136; // log10(2)
  METALSIM_INLINE static constexpr T min() { return is_signed ? static_cast<T>(~static_cast<long>(max())) : T(0); }
  METALSIM_INLINE static constexpr T lowest() { return min(); }
  METALSIM_INLINE static constexpr T max() { return static_cast<T>(~0ul >> (64 - digits)); }
  METALSIM_INLINE static constexpr T epsilon() { return T(0); }
  METALSIM_INLINE static constexpr T round_error() { return T(0); }
  METALSIM_INLINE static constexpr T infinity() { return T(0); }
  METALSIM_INLINE static constexpr T quiet_NaN() { return T(0); }
  METALSIM_INLINE static constexpr T denorm_min() { return T(0); }
};

#define METALSIM_FLOAT_LIMITS(T, DIGITS, DIGITS10, MAX_DIGITS10, MIN_EXPONENT, MAX_EXPONENT, MAX, MIN, EPSILON,        \
                              DENORM_MIN)                                                                              \
  template <> struct _numeric_limits_impl<T> {                                                                         \
    static constexpr bool is_specialized = true;                                                                       \
    static constexpr bool is_signed = true;                                                                            \
    static constexpr bool is_integer = false;                                                                          \
    static constexpr bool is_exact = false;                                                                            \
    static constexpr bool has_infinity = true;                                                                         \
    static constexpr bool has_quiet_NaN = true;                                                                        \
    static constexpr bool has_signaling_NaN = true;                                                                    \
    static constexpr bool is_bounded = true;                                                                           \
    static constexpr bool is_modulo = false;                                                                           \
    static constexpr int radix = 2;                                                                                    \
    static constexpr int digits = DIGITS;                                                                              \
    static constexpr int digits10 = DIGITS10;                                                                          \
    static constexpr int max_digits10 = MAX_DIGITS10;                                                                  \
    static constexpr int min_exponent = MIN_EXPONENT;                                                                  \
    static constexpr int max_exponent = MAX_EXPONENT;                                                                  \
    static constexpr float_round_style round_style = round_to_nearest;                                                 \
    METALSIM_INLINE static constexpr T max() {                                                                         \
      return static_cast<T>(MAX);                                                                                      \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T lowest() {                                                                      \
      return static_cast<T>(-MAX);                                                                                     \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T min() {                                                                         \
      return static_cast<T>(MIN);                                                                                      \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T epsilon() {                                                                     \
      return static_cast<T>(EPSILON);                                                                                  \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T round_error() {                                                                 \
      return static_cast<T>(0.5f);                                                                                     \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T infinity() {                                                                    \
      return static_cast<T>(__builtin_inff());                                                                         \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T quiet_NaN() {                                                                   \
      return static_cast<T>(__builtin_nanf(""));                                                                       \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T signaling_NaN() {                                                               \
      return static_cast<T>(__builtin_nansf(""));                                                                      \
    }                                                                                                                  \
    METALSIM_INLINE static constexpr T denorm_min() {                                                                  \
      return static_cast<T>(DENORM_MIN);                                                                               \
    }                                                                                                                  \
  };
METALSIM_FLOAT_LIMITS(float, 24, 6, 9, -125, 128, 0x1.fffffep127f, 0x1p-126f, 0x1p-23f, 0x1p-149f)
METALSIM_FLOAT_LIMITS(half, 11, 3, 5, -13, 16, 0x1.ffcp15f, 0x1p-14f, 0x1p-10f, 0x1p-24f)
METALSIM_FLOAT_LIMITS(bfloat, 8, 2, 4, -125, 128, 0x1.fep127f, 0x1p-126f, 0x1p-7f, 0x1p-133f)
#undef METALSIM_FLOAT_LIMITS

} // namespace metal
