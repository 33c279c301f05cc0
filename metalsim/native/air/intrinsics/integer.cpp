// Integer functions, and those without a better place.

#include "intrinsics.h"

namespace {

template <typename T> T min_of(T a, T b) {
  return b < a ? b : a;
}
template <typename T> T max_of(T a, T b) {
  return a < b ? b : a;
}

} // namespace

#define METALSIM_MIN_MAX(type, suffix, name)                                                                           \
  METALSIM_AIR(type, min_##suffix, "air.min." name, (type a, type b)) {                                                \
    return min_of(a, b);                                                                                               \
  }                                                                                                                    \
  METALSIM_AIR(type, max_##suffix, "air.max." name, (type a, type b)) {                                                \
    return max_of(a, b);                                                                                               \
  }                                                                                                                    \
  METALSIM_AIR(type, clamp_##suffix, "air.clamp." name, (type x, type low, type high)) {                               \
    return min_of(max_of(x, low), high);                                                                               \
  }

METALSIM_MIN_MAX(int8_t, s8, "s.i8")
METALSIM_MIN_MAX(int16_t, s16, "s.i16")
METALSIM_MIN_MAX(int32_t, s32, "s.i32")
METALSIM_MIN_MAX(int64_t, s64, "s.i64")
METALSIM_MIN_MAX(uint8_t, u8, "u.i8")
METALSIM_MIN_MAX(uint16_t, u16, "u.i16")
METALSIM_MIN_MAX(uint32_t, u32, "u.i32")
METALSIM_MIN_MAX(uint64_t, u64, "u.i64")

METALSIM_AIR(int32_t, abs_s32, "air.abs.s.i32", (int32_t x)) {
  return x < 0 ? static_cast<int32_t>(0u - static_cast<uint32_t>(x)) : x;
}
METALSIM_AIR(int32_t, mul_hi_s32, "air.mul_hi.s.i32", (int32_t a, int32_t b)) {
  return static_cast<int32_t>(static_cast<int64_t>(a) * b >> 32);
}
METALSIM_AIR(uint32_t, mul_hi_u32, "air.mul_hi.u.i32", (uint32_t a, uint32_t b)) {
  return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32);
}
METALSIM_AIR(uint32_t, popcount_u32, "air.popcount.i32", (uint32_t x)) {
  return static_cast<uint32_t>(__builtin_popcount(x));
}

/// Bool constants come in as any non-zero byte.
METALSIM_AIR(uint8_t, function_constant_predicate, "air.normalize_function_constant_predicate.i8", (uint8_t x)) {
  return x != 0;
}
