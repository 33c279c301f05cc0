// The integer functions on one number, of which generate.py makes the overloads.
#pragma once

#include "construct.h"

namespace metalsim::shim::integer {

template <typename T> using Unsigned = metal::make_unsigned_t<T>;
template <typename T> inline constexpr int bits = sizeof(T) * 8;

/// Twice as wide, for what overflows.
template <typename T>
using Wide = metal::conditional_t<sizeof(T) == 8, metal::conditional_t<__is_signed(T), __int128, unsigned __int128>,
                                  metal::conditional_t<__is_signed(T), long, unsigned long>>;

template <typename T> METALSIM_INLINE constexpr T max(T x, T y) {
  return x < y ? y : x;
}
template <typename T> METALSIM_INLINE constexpr T min(T x, T y) {
  return y < x ? y : x;
}
template <typename T> METALSIM_INLINE constexpr T max3(T x, T y, T z) {
  return max(max(x, y), z);
}
template <typename T> METALSIM_INLINE constexpr T min3(T x, T y, T z) {
  return min(min(x, y), z);
}
template <typename T> METALSIM_INLINE constexpr T median3(T x, T y, T z) {
  return max(min(x, y), min(max(x, y), z));
}
template <typename T> METALSIM_INLINE constexpr T clamp(T x, T low, T high) {
  return min(max(x, low), high);
}
/// The lowest number stays itself, as negation wraps around.
template <typename T> METALSIM_INLINE constexpr T abs(T x) {
  return x < T(0) ? T(Unsigned<T>(0) - Unsigned<T>(x)) : x;
}
template <typename T> METALSIM_INLINE constexpr Unsigned<T> absdiff(T x, T y) {
  return x < y ? Unsigned<T>(Unsigned<T>(y) - Unsigned<T>(x)) : Unsigned<T>(Unsigned<T>(x) - Unsigned<T>(y));
}

template <typename T> METALSIM_INLINE constexpr T saturated(Wide<T> x) {
  constexpr bool is_signed = __is_signed(T);
  constexpr Wide<T> highest = (Wide<T>(1) << (bits<T> - is_signed)) - 1;
  constexpr Wide<T> lowest = is_signed ? -highest - 1 : Wide<T>(0);
  return T(x < lowest ? lowest : x > highest ? highest : x);
}
template <typename T> METALSIM_INLINE constexpr T addsat(T x, T y) {
  return saturated<T>(Wide<T>(x) + Wide<T>(y));
}
template <typename T> METALSIM_INLINE constexpr T subsat(T x, T y) {
  if constexpr (!__is_signed(T)) {
    return x < y ? T(0) : T(x - y);
  } else {
    return saturated<T>(Wide<T>(x) - Wide<T>(y));
  }
}
template <typename T> METALSIM_INLINE constexpr T hadd(T x, T y) {
  return T((Wide<T>(x) + Wide<T>(y)) >> 1);
}
template <typename T> METALSIM_INLINE constexpr T rhadd(T x, T y) {
  return T((Wide<T>(x) + Wide<T>(y) + 1) >> 1);
}

template <typename T> METALSIM_INLINE constexpr T mulhi(T x, T y) {
  return T((Wide<T>(x) * Wide<T>(y)) >> bits<T>);
}
template <typename T> METALSIM_INLINE constexpr T madhi(T x, T y, T z) {
  return T(Unsigned<T>(mulhi(x, y)) + Unsigned<T>(z));
}
template <typename T> METALSIM_INLINE constexpr T madsat(T x, T y, T z) {
  if constexpr (sizeof(T) < 8) {
    return saturated<T>(Wide<T>(x) * Wide<T>(y) + Wide<T>(z));
  } else {
    // The product is below 2^127 (2^128 unsigned), so that only the sum of unsigned numbers can overflow.
    const Wide<T> product = Wide<T>(x) * Wide<T>(y);
    const Wide<T> sum = product + Wide<T>(z);
    return !__is_signed(T) && sum < product ? T(~T(0)) : saturated<T>(sum);
  }
}
/// Of numbers with 24 bits; more than that is undefined in Metal.
template <typename T> METALSIM_INLINE constexpr T mul24(T x, T y) {
  return T(uint(x) * uint(y));
}
template <typename T> METALSIM_INLINE constexpr T mad24(T x, T y, T z) {
  return T(uint(x) * uint(y) + uint(z));
}

template <typename T> METALSIM_INLINE constexpr T popcount(T x) {
  return T(__builtin_popcountl(Unsigned<T>(x)));
}
template <typename T> METALSIM_INLINE constexpr T clz(T x) {
  return x == 0 ? T(bits<T>) : T(__builtin_clzl(Unsigned<T>(x)) - (64 - bits<T>));
}
template <typename T> METALSIM_INLINE constexpr T ctz(T x) {
  return x == 0 ? T(bits<T>) : T(__builtin_ctzl(Unsigned<T>(x)));
}
template <typename T> METALSIM_INLINE constexpr T reverse_bits(T x) {
  return T(__builtin_bitreverse64(Unsigned<T>(x)) >> (64 - bits<T>));
}
template <typename T> METALSIM_INLINE constexpr T rotate(T x, T distance) {
  const int left = int(Unsigned<T>(distance) % bits<T>);
  const Unsigned<T> value = Unsigned<T>(x);
  return left == 0 ? x : T(Unsigned<T>(value << left) | Unsigned<T>(value >> (bits<T> - left)));
}
template <typename T> METALSIM_INLINE constexpr Unsigned<T> low_mask(uint count) {
  return count == 0 ? Unsigned<T>(0) : Unsigned<T>(Unsigned<T>(~Unsigned<T>(0)) >> (bits<T> - count));
}
/// The sign bit of the field is extended for signed types.
template <typename T> METALSIM_INLINE constexpr T extract_bits(T x, uint offset, uint count) {
  if (count == 0) {
    return T(0);
  }
  const Unsigned<T> up = Unsigned<T>(Unsigned<T>(x) << (bits<T> - count - offset));
  return T(T(up) >> (bits<T> - count));
}
template <typename T> METALSIM_INLINE constexpr T insert_bits(T base, T insert, uint offset, uint count) {
  const Unsigned<T> mask = Unsigned<T>(low_mask<T>(count) << offset);
  return T((Unsigned<T>(base) & Unsigned<T>(~mask)) | (Unsigned<T>(Unsigned<T>(insert) << offset) & mask));
}

} // namespace metalsim::shim::integer
