// Floating-point functions. The precise ("air.exp.f32") and the fast ("air.fast_exp.f32") are the same here: what a
// GPU's fast functions round to is known only to the GPU. Half computes in float and rounds once.

#include "intrinsics.h"

#include <math.h>

using metalsim::abi::Event;
using metalsim::air::report;

namespace {

float exp10_of(float x) {
  return powf(10.0f, x);
}
float rsqrt_of(float x) {
  return 1.0f / sqrtf(x);
}
float fract_of(float x) {
  return fminf(x - floorf(x), 0x1.fffffep-1f);
}
float saturate_of(float x) {
  return fminf(fmaxf(x, 0.0f), 1.0f);
}
float sign_of(float x) {
  return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x == x ? x : 0.0f;
}
float cospi_of(float x) {
  return cosf(x * 0x1.921fb6p+1f);
}
float sinpi_of(float x) {
  return sinf(x * 0x1.921fb6p+1f);
}
float tanpi_of(float x) {
  return tanf(x * 0x1.921fb6p+1f);
}

constexpr Event kNone = Event::kCount; ///< functions of one or two instructions, which are not counted

void report_unless_none(Event event) {
  if (event != kNone) {
    report(event);
  }
}

} // namespace

#define METALSIM_UNARY(name, function, event)                                                                          \
  METALSIM_AIR(float, name##_f32, "air." #name ".f32", (float x)) {                                                    \
    report_unless_none(event);                                                                                         \
    return function(x);                                                                                                \
  }                                                                                                                    \
  METALSIM_AIR(float, fast_##name##_f32, "air.fast_" #name ".f32", (float x)) {                                        \
    report_unless_none(event);                                                                                         \
    return function(x);                                                                                                \
  }                                                                                                                    \
  METALSIM_AIR(half, name##_f16, "air." #name ".f16", (half x)) {                                                      \
    report_unless_none(event);                                                                                         \
    return static_cast<half>(function(static_cast<float>(x)));                                                         \
  }

METALSIM_UNARY(exp, expf, Event::exponential)
METALSIM_UNARY(exp2, exp2f, Event::exponential)
METALSIM_UNARY(exp10, exp10_of, Event::exponential)
METALSIM_UNARY(log, logf, Event::logarithm)
METALSIM_UNARY(log2, log2f, Event::logarithm)
METALSIM_UNARY(log10, log10f, Event::logarithm)
METALSIM_UNARY(sqrt, sqrtf, Event::square_root)
METALSIM_UNARY(rsqrt, rsqrt_of, Event::square_root)
METALSIM_UNARY(sin, sinf, Event::transcendental)
METALSIM_UNARY(cos, cosf, Event::transcendental)
METALSIM_UNARY(tan, tanf, Event::transcendental)
METALSIM_UNARY(sinpi, sinpi_of, Event::transcendental)
METALSIM_UNARY(cospi, cospi_of, Event::transcendental)
METALSIM_UNARY(tanpi, tanpi_of, Event::transcendental)
METALSIM_UNARY(asin, asinf, Event::transcendental)
METALSIM_UNARY(acos, acosf, Event::transcendental)
METALSIM_UNARY(atan, atanf, Event::transcendental)
METALSIM_UNARY(sinh, sinhf, Event::transcendental)
METALSIM_UNARY(cosh, coshf, Event::transcendental)
METALSIM_UNARY(tanh, tanhf, Event::transcendental)
METALSIM_UNARY(asinh, asinhf, Event::transcendental)
METALSIM_UNARY(acosh, acoshf, Event::transcendental)
METALSIM_UNARY(atanh, atanhf, Event::transcendental)
METALSIM_UNARY(fabs, fabsf, kNone)
METALSIM_UNARY(ceil, ceilf, kNone)
METALSIM_UNARY(floor, floorf, kNone)
METALSIM_UNARY(trunc, truncf, kNone)
METALSIM_UNARY(rint, rintf, kNone)
METALSIM_UNARY(round, roundf, kNone)
METALSIM_UNARY(fract, fract_of, kNone)
METALSIM_UNARY(saturate, saturate_of, kNone)
METALSIM_UNARY(sign, sign_of, kNone)

#define METALSIM_BINARY(name, function, event)                                                                         \
  METALSIM_AIR(float, name##_f32, "air." #name ".f32", (float x, float y)) {                                           \
    report_unless_none(event);                                                                                         \
    return function(x, y);                                                                                             \
  }                                                                                                                    \
  METALSIM_AIR(float, fast_##name##_f32, "air.fast_" #name ".f32", (float x, float y)) {                               \
    report_unless_none(event);                                                                                         \
    return function(x, y);                                                                                             \
  }                                                                                                                    \
  METALSIM_AIR(half, name##_f16, "air." #name ".f16", (half x, half y)) {                                              \
    report_unless_none(event);                                                                                         \
    return static_cast<half>(function(static_cast<float>(x), static_cast<float>(y)));                                  \
  }

METALSIM_BINARY(fmax, fmaxf, kNone)
METALSIM_BINARY(fmin, fminf, kNone)
METALSIM_BINARY(fmod, fmodf, kNone)
METALSIM_BINARY(copysign, copysignf, kNone)
METALSIM_BINARY(pow, powf, Event::transcendental)
METALSIM_BINARY(powr, powf, Event::transcendental)
METALSIM_BINARY(atan2, atan2f, Event::transcendental)

METALSIM_AIR(float, fma_f32, "air.fma.f32", (float x, float y, float z)) {
  return fmaf(x, y, z);
}
METALSIM_AIR(half, fma_f16, "air.fma.f16", (half x, half y, half z)) {
  // The product of two halves is exact in float, but the sum is not: double keeps it exact, so that it is rounded once.
  return static_cast<half>(static_cast<double>(x) * static_cast<double>(y) + static_cast<double>(z));
}

#define METALSIM_CLAMP(name)                                                                                           \
  METALSIM_AIR(float, name##_f32, "air." #name ".f32", (float x, float low, float high)) {                             \
    return fminf(fmaxf(x, low), high);                                                                                 \
  }

METALSIM_CLAMP(clamp)
METALSIM_CLAMP(fast_clamp)

METALSIM_AIR(bool, isnan_f32, "air.isnan.f32", (float x)) {
  return x != x;
}
METALSIM_AIR(bool, isinf_f32, "air.isinf.f32", (float x)) {
  return isinf(x);
}
METALSIM_AIR(bool, isfinite_f32, "air.isfinite.f32", (float x)) {
  return isfinite(x);
}
