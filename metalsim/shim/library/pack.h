// Vectors packed into integers as normalised numbers: pack_float_to_unorm4x8 and its like. The first component has the
// lowest bits.
#pragma once

#include "math.h"

namespace metalsim::shim {

/// Of [0, 1] or [-1, 1] to the nearest of the integers up to `highest`.
template <bool IsSigned> METALSIM_INLINE uint normalised(float x, float highest) {
  const float lowest = IsSigned ? -1.0f : 0.0f;
  return static_cast<uint>(static_cast<int>(scalar::rint(scalar::clamp(x, lowest, 1.0f) * highest)));
}

/// Puts every component into `bits` bits of an integer.
template <bool IsSigned, int Bits, int N> METALSIM_INLINE uint pack_normalised(metal::vec<float, N> x) {
  constexpr uint mask = (1u << Bits) - 1;
  uint packed = 0;
  for (int i = 0; i < N; ++i) {
    packed |= (normalised<IsSigned>(x[i], static_cast<float>(mask >> IsSigned)) & mask) << (i * Bits);
  }
  return packed;
}
template <bool IsSigned, int Bits, int N> METALSIM_INLINE metal::vec<float, N> unpack_normalised(uint packed) {
  constexpr uint mask = (1u << Bits) - 1;
  metal::vec<float, N> x;
  for (int i = 0; i < N; ++i) {
    const uint bits = (packed >> (i * Bits)) & mask;
    const int number = IsSigned ? static_cast<int>(bits << (32 - Bits)) >> (32 - Bits) : static_cast<int>(bits);
    x[i] = scalar::max(static_cast<float>(number) / static_cast<float>(mask >> IsSigned), -1.0f);
  }
  return x;
}

METALSIM_INLINE float to_srgb(float x) {
  const float linear = scalar::saturate(x);
  return linear <= 0.0031308f ? 12.92f * linear : 1.055f * scalar::pow(linear, 1.0f / 2.4f) - 0.055f;
}
METALSIM_INLINE float from_srgb(float x) {
  return x <= 0.04045f ? x / 12.92f : scalar::pow((x + 0.055f) / 1.055f, 2.4f);
}

} // namespace metalsim::shim

namespace metal {

#define METALSIM_PACK(FORMAT, IS_SIGNED, BITS, N)                                                                      \
  METALSIM_INLINE uint pack_float_to_##FORMAT(float##N x) {                                                            \
    return ::metalsim::shim::pack_normalised<IS_SIGNED, BITS, N>(x);                                                   \
  }                                                                                                                    \
  METALSIM_INLINE uint pack_half_to_##FORMAT(half##N x) {                                                              \
    return pack_float_to_##FORMAT(::metalsim::shim::Make<float##N>::from(x));                                          \
  }                                                                                                                    \
  METALSIM_INLINE float##N unpack_##FORMAT##_to_float(uint x) {                                                        \
    return ::metalsim::shim::unpack_normalised<IS_SIGNED, BITS, N>(x);                                                 \
  }                                                                                                                    \
  METALSIM_INLINE half##N unpack_##FORMAT##_to_half(uint x) {                                                          \
    return ::metalsim::shim::Make<half##N>::from(unpack_##FORMAT##_to_float(x));                                       \
  }
METALSIM_PACK(unorm4x8, false, 8, 4)
METALSIM_PACK(snorm4x8, true, 8, 4)
METALSIM_PACK(unorm2x16, false, 16, 2)
METALSIM_PACK(snorm2x16, true, 16, 2)
#undef METALSIM_PACK

/// The fourth component is linear.
METALSIM_INLINE uint pack_float_to_srgb_unorm4x8(float4 x) {
  for (int i = 0; i < 3; ++i) {
    x[i] = ::metalsim::shim::to_srgb(x[i]);
  }
  return pack_float_to_unorm4x8(x);
}
METALSIM_INLINE uint pack_half_to_srgb_unorm4x8(half4 x) {
  return pack_float_to_srgb_unorm4x8(::metalsim::shim::Make<float4>::from(x));
}
METALSIM_INLINE float4 unpack_unorm4x8_srgb_to_float(uint packed) {
  float4 x = unpack_unorm4x8_to_float(packed);
  for (int i = 0; i < 3; ++i) {
    x[i] = ::metalsim::shim::from_srgb(x[i]);
  }
  return x;
}
METALSIM_INLINE half4 unpack_unorm4x8_srgb_to_half(uint packed) {
  return ::metalsim::shim::Make<half4>::from(unpack_unorm4x8_srgb_to_float(packed));
}

/// Ten bits for each colour, two for the fourth component.
METALSIM_INLINE uint pack_float_to_unorm10a2(float4 x) {
  return ::metalsim::shim::pack_normalised<false, 10, 3>(x.xyz) | ::metalsim::shim::normalised<false>(x.w, 3.0f) << 30;
}
METALSIM_INLINE uint pack_half_to_unorm10a2(half4 x) {
  return pack_float_to_unorm10a2(::metalsim::shim::Make<float4>::from(x));
}
METALSIM_INLINE float4 unpack_unorm10a2_to_float(uint packed) {
  const float3 colours = ::metalsim::shim::unpack_normalised<false, 10, 3>(packed);
  return ::metalsim::shim::Make<float4>::from(colours, static_cast<float>(packed >> 30) / 3.0f);
}
METALSIM_INLINE half4 unpack_unorm10a2_to_half(uint packed) {
  return ::metalsim::shim::Make<half4>::from(unpack_unorm10a2_to_float(packed));
}

/// The first component has the highest bits of this format.
METALSIM_INLINE ushort pack_float_to_unorm565(float3 x) {
  using ::metalsim::shim::normalised;
  return static_cast<ushort>(normalised<false>(x.x, 31.0f) << 11 | normalised<false>(x.y, 63.0f) << 5 |
                             normalised<false>(x.z, 31.0f));
}
METALSIM_INLINE ushort pack_half_to_unorm565(half3 x) {
  return pack_float_to_unorm565(::metalsim::shim::Make<float3>::from(x));
}
METALSIM_INLINE float3 unpack_unorm565_to_float(ushort packed) {
  const float3 fields = {static_cast<float>(packed >> 11), static_cast<float>(packed >> 5 & 63),
                         static_cast<float>(packed & 31)};
  const float3 highest = {31.0f, 63.0f, 31.0f};
  return fields / highest;
}
METALSIM_INLINE half3 unpack_unorm565_to_half(ushort packed) {
  return ::metalsim::shim::Make<half3>::from(unpack_unorm565_to_float(packed));
}

} // namespace metal
