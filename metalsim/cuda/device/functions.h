// Mathematical functions, of which PTX has approximations only for few. Those that are not here are refused by name
// when a kernel uses them.
//
// The shim calls the compiler's builtins, which have no library behind them on this target: they are macros here.
#pragma once

namespace metalsim::cuda {

#define METALSIM_CUDA_INLINE inline __attribute__((always_inline))

/// Errors below 2 units in the last place (PTX ISA, ex2).
METALSIM_CUDA_INLINE float exp2(float x) {
  return __nvvm_ex2_approx_ftz_f(x);
}
/// Absolute error below 2^-22 for x in [0.5, 2], relative elsewhere (PTX ISA, lg2).
METALSIM_CUDA_INLINE float log2(float x) {
  return __nvvm_lg2_approx_ftz_f(x);
}
/// e^x = 2^n e^r, with r = x - n ln 2 in two steps, so that the error does not grow with x.
METALSIM_CUDA_INLINE float exp(float x) {
  const float clamped = __builtin_fminf(__builtin_fmaxf(x, -200.0f), 200.0f);
  const float n = __builtin_rintf(clamped * 0x1.715476p+0f);
  float r = __builtin_fmaf(n, -0x1.62e400p-1f, clamped);
  r = __builtin_fmaf(n, -0x1.7f7d1cp-20f, r);
  // Two factors: the lowest numbers are less than one power of two away from the largest factor.
  const float half_way = __builtin_rintf(n * 0.5f);
  const float result = exp2(r * 0x1.715476p+0f) * exp2(half_way) * exp2(n - half_way);
  return x != x ? x : result;
}
METALSIM_CUDA_INLINE float exp10(float x) {
  return exp2(x * 0x1.a934f0p+1f);
}
METALSIM_CUDA_INLINE float log(float x) {
  return log2(x) * 0x1.62e430p-1f;
}
METALSIM_CUDA_INLINE float log10(float x) {
  return log2(x) * 0x1.344136p-2f;
}
/// A polynomial near 0 (Cephes, tanhf), else by exp: 1 - 2 / (e^2x + 1).
METALSIM_CUDA_INLINE float tanh(float x) {
  const float size = __builtin_fabsf(x);
  if (size < 0.625f) {
    const float square = x * x;
    float sum = __builtin_fmaf(square, -5.70498872745e-3f, 2.06390887954e-2f);
    sum = __builtin_fmaf(square, sum, -5.37397155531e-2f);
    sum = __builtin_fmaf(square, sum, 1.33314422036e-1f);
    sum = __builtin_fmaf(square, sum, -3.33332819422e-1f);
    return __builtin_fmaf(sum * square, x, x);
  }
  return __builtin_copysignf(1.0f - 2.0f / (exp(2.0f * size) + 1.0f), x);
}

#define METALSIM_CUDA_LACKS_1(NAME) extern "C" float metalsim_cuda_lacks_##NAME(float);
#define METALSIM_CUDA_LACKS_2(NAME) extern "C" float metalsim_cuda_lacks_##NAME(float, float);
METALSIM_CUDA_LACKS_1(acos)
METALSIM_CUDA_LACKS_1(acosh)
METALSIM_CUDA_LACKS_1(asin)
METALSIM_CUDA_LACKS_1(asinh)
METALSIM_CUDA_LACKS_1(atan)
METALSIM_CUDA_LACKS_1(atanh)
METALSIM_CUDA_LACKS_1(cos)
METALSIM_CUDA_LACKS_1(cosh)
METALSIM_CUDA_LACKS_1(sin)
METALSIM_CUDA_LACKS_1(sinh)
METALSIM_CUDA_LACKS_1(tan)
METALSIM_CUDA_LACKS_2(atan2)
METALSIM_CUDA_LACKS_2(pow)
extern "C" double metalsim_cuda_lacks_sinpi(double);
extern "C" double metalsim_cuda_lacks_cospi(double);

} // namespace metalsim::cuda

// NOLINTBEGIN: names of the compiler's builtins
#define __builtin_exp2f(x) ::metalsim::cuda::exp2(x)
#define __builtin_expf(x) ::metalsim::cuda::exp(x)
#define __builtin_exp10f(x) ::metalsim::cuda::exp10(x)
#define __builtin_log2f(x) ::metalsim::cuda::log2(x)
#define __builtin_logf(x) ::metalsim::cuda::log(x)
#define __builtin_log10f(x) ::metalsim::cuda::log10(x)
#define __builtin_tanhf(x) ::metalsim::cuda::tanh(x)
#define __builtin_acosf(x) ::metalsim::cuda::metalsim_cuda_lacks_acos(x)
#define __builtin_acoshf(x) ::metalsim::cuda::metalsim_cuda_lacks_acosh(x)
#define __builtin_asinf(x) ::metalsim::cuda::metalsim_cuda_lacks_asin(x)
#define __builtin_asinhf(x) ::metalsim::cuda::metalsim_cuda_lacks_asinh(x)
#define __builtin_atanf(x) ::metalsim::cuda::metalsim_cuda_lacks_atan(x)
#define __builtin_atanhf(x) ::metalsim::cuda::metalsim_cuda_lacks_atanh(x)
#define __builtin_cosf(x) ::metalsim::cuda::metalsim_cuda_lacks_cos(x)
#define __builtin_coshf(x) ::metalsim::cuda::metalsim_cuda_lacks_cosh(x)
#define __builtin_sinf(x) ::metalsim::cuda::metalsim_cuda_lacks_sin(x)
#define __builtin_sinhf(x) ::metalsim::cuda::metalsim_cuda_lacks_sinh(x)
#define __builtin_tanf(x) ::metalsim::cuda::metalsim_cuda_lacks_tan(x)
#define __builtin_atan2f(y, x) ::metalsim::cuda::metalsim_cuda_lacks_atan2(y, x)
#define __builtin_powf(x, y) ::metalsim::cuda::metalsim_cuda_lacks_pow(x, y)
#define __builtin_sin(x) ::metalsim::cuda::metalsim_cuda_lacks_sinpi(x)
#define __builtin_cos(x) ::metalsim::cuda::metalsim_cuda_lacks_cospi(x)
// NOLINTEND
