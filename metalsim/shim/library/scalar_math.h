// The mathematical functions on one number, of which generate.py makes the overloads.
//
// exp, log, sin and the like are the host's: correct to about one unit in the last place, which is more than fast::
// promises. A half is computed in float and rounded once, except where a function is made of several operations: those
// round each. What the hardware spends on a function does not show in compiled code, so that instrumented builds report
// it.
#pragma once

#include "construct.h"

namespace metalsim::shim {

METALSIM_INLINE void count([[maybe_unused]] abi::Event event) {
#ifdef METALSIM_INSTRUMENTED
  metalsim_event(static_cast<uint32_t>(event), 1);
#endif
}

namespace scalar {

#define METALSIM_HOST_1(NAME, EVENT)                                                                                   \
  METALSIM_INLINE float NAME(float x) {                                                                                \
    count(abi::Event::EVENT);                                                                                          \
    return __builtin_##NAME##f(x);                                                                                     \
  }
METALSIM_HOST_1(acos, transcendental)
METALSIM_HOST_1(acosh, transcendental)
METALSIM_HOST_1(asin, transcendental)
METALSIM_HOST_1(asinh, transcendental)
METALSIM_HOST_1(atan, transcendental)
METALSIM_HOST_1(atanh, transcendental)
METALSIM_HOST_1(cos, transcendental)
METALSIM_HOST_1(cosh, transcendental)
METALSIM_HOST_1(exp, exponential)
METALSIM_HOST_1(exp10, exponential)
METALSIM_HOST_1(exp2, exponential)
METALSIM_HOST_1(log, logarithm)
METALSIM_HOST_1(log10, logarithm)
METALSIM_HOST_1(log2, logarithm)
METALSIM_HOST_1(sin, transcendental)
METALSIM_HOST_1(sinh, transcendental)
METALSIM_HOST_1(sqrt, square_root)
METALSIM_HOST_1(tan, transcendental)
METALSIM_HOST_1(tanh, transcendental)
#undef METALSIM_HOST_1

METALSIM_INLINE float ceil(float x) {
  return __builtin_ceilf(x);
}
METALSIM_INLINE float fabs(float x) {
  return __builtin_fabsf(x);
}
METALSIM_INLINE float abs(float x) {
  return __builtin_fabsf(x);
}
METALSIM_INLINE float floor(float x) {
  return __builtin_floorf(x);
}
METALSIM_INLINE float rint(float x) {
  return __builtin_rintf(x);
}
METALSIM_INLINE float round(float x) {
  return __builtin_roundf(x);
}
METALSIM_INLINE float trunc(float x) {
  return __builtin_truncf(x);
}
METALSIM_INLINE float rsqrt(float x) {
  count(abi::Event::square_root);
  return 1.0f / __builtin_sqrtf(x);
}
/// Below one even where the difference rounds up to it.
METALSIM_INLINE float fract(float x) {
  return __builtin_fminf(x - __builtin_floorf(x), 0x1.fffffep-1f);
}

/// An angle in half turns as radians in [-pi, pi], exact where sine and cosine are 0 or 1.
METALSIM_INLINE double half_turns(float x) {
  const double turns = x;
  return 3.14159265358979323846 * (turns - 2.0 * __builtin_rint(turns * 0.5));
}
METALSIM_INLINE float sinpi(float x) {
  count(abi::Event::transcendental);
  return x == __builtin_rintf(x) ? x * 0.0f : static_cast<float>(__builtin_sin(half_turns(x)));
}
METALSIM_INLINE float cospi(float x) {
  count(abi::Event::transcendental);
  const float before = x - 0.5f;
  const bool is_zero = before == __builtin_rintf(before) && before + 0.5f == x;
  return is_zero ? 0.0f : static_cast<float>(__builtin_cos(half_turns(x)));
}
METALSIM_INLINE float tanpi(float x) {
  return sinpi(x) / cospi(x);
}

METALSIM_INLINE float atan2(float y, float x) {
  count(abi::Event::transcendental);
  return __builtin_atan2f(y, x);
}
METALSIM_INLINE float pow(float x, float y) {
  count(abi::Event::transcendental);
  return __builtin_powf(x, y);
}
/// pow for x >= 0. Where pow has a value and exp2(y * log2(x)) has none, so has powr.
METALSIM_INLINE float powr(float x, float y) {
  const bool is_undefined = x < 0.0f || (x == 0.0f && y == 0.0f) || (x == 1.0f && __builtin_isinf(y)) ||
                            (__builtin_isinf(x) && y == 0.0f) || __builtin_isnan(y) || __builtin_isnan(x);
  const float result = pow(x, y);
  return is_undefined ? __builtin_nanf("") : result;
}
METALSIM_INLINE float fmod(float x, float y) {
  return __builtin_fmodf(x, y);
}
METALSIM_INLINE float copysign(float x, float y) {
  return __builtin_copysignf(x, y);
}
METALSIM_INLINE float fdim(float x, float y) {
  return __builtin_fdimf(x, y);
}
METALSIM_INLINE float divide(float x, float y) {
  return x / y;
}
/// Of a number and a NaN, the number.
METALSIM_INLINE float fmax(float x, float y) {
  return __builtin_fmaxf(x, y);
}
METALSIM_INLINE float fmin(float x, float y) {
  return __builtin_fminf(x, y);
}
METALSIM_INLINE float max(float x, float y) {
  return fmax(x, y);
}
METALSIM_INLINE float min(float x, float y) {
  return fmin(x, y);
}
METALSIM_INLINE float fmax3(float x, float y, float z) {
  return fmax(fmax(x, y), z);
}
METALSIM_INLINE float fmin3(float x, float y, float z) {
  return fmin(fmin(x, y), z);
}
METALSIM_INLINE float fmedian3(float x, float y, float z) {
  return fmax(fmin(x, y), fmin(fmax(x, y), z));
}
METALSIM_INLINE float max3(float x, float y, float z) {
  return fmax3(x, y, z);
}
METALSIM_INLINE float min3(float x, float y, float z) {
  return fmin3(x, y, z);
}
METALSIM_INLINE float median3(float x, float y, float z) {
  return fmedian3(x, y, z);
}
METALSIM_INLINE float fma(float x, float y, float z) {
  return __builtin_fmaf(x, y, z);
}

/// Rounds to half once: through a float that is rounded to odd, which has enough digits to decide the second rounding.
METALSIM_INLINE half round_to_half(double x) {
  float nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) != x && nearest == nearest && !__builtin_isinf(nearest)) {
    uint32_t bits = __builtin_bit_cast(uint32_t, nearest);
    const bool is_too_far = __builtin_fabs(static_cast<double>(nearest)) > __builtin_fabs(x);
    bits = (bits - is_too_far) | 1u;
    nearest = __builtin_bit_cast(float, bits);
  }
  return static_cast<half>(nearest);
}
/// A product of halves is exact in double; only the sum rounds, to far more digits than a half has.
METALSIM_INLINE half fma(half x, half y, half z) {
  return round_to_half(static_cast<double>(x) * static_cast<double>(y) + static_cast<double>(z));
}

// Functions of several operations, in the precision of their type.
template <typename T> METALSIM_INLINE T clamp(T x, T low, T high) {
  return static_cast<T>(fmin(fmax(static_cast<float>(x), static_cast<float>(low)), static_cast<float>(high)));
}
template <typename T> METALSIM_INLINE T saturate(T x) {
  return clamp(x, T(0), T(1));
}
template <typename T> METALSIM_INLINE T mix(T x, T y, T amount) {
  return x + (y - x) * amount;
}
template <typename T> METALSIM_INLINE T step(T edge, T x) {
  return x < edge ? T(0) : T(1);
}
template <typename T> METALSIM_INLINE T smoothstep(T low, T high, T x) {
  const T t = saturate(T((x - low) / (high - low)));
  return t * t * (T(3) - T(2) * t);
}
/// 0 for a NaN; a zero keeps its sign.
template <typename T> METALSIM_INLINE T sign(T x) {
  if (x != x) {
    return T(0);
  }
  return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;
}

METALSIM_INLINE float nextafter(float x, float y) {
  return __builtin_nextafterf(x, y);
}
METALSIM_INLINE half nextafter(half x, half y) {
  if (x != x || y != y) {
    return x + y;
  }
  if (x == y) {
    return y;
  }
  const bool grows = y > x;
  const uint16_t bits = __builtin_bit_cast(uint16_t, x);
  if ((bits & 0x7fff) == 0) {
    return __builtin_bit_cast(half, static_cast<uint16_t>(grows ? 0x0001 : 0x8001));
  }
  const bool is_away_from_zero = grows == (x > half(0));
  return __builtin_bit_cast(half, static_cast<uint16_t>(is_away_from_zero ? bits + 1 : bits - 1));
}

} // namespace scalar
} // namespace metalsim::shim
