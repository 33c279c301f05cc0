// Functions of vectors as geometry sees them.
#pragma once

#include "math.h"

namespace metal {

/// The products are added up from the first to the last.
template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>
METALSIM_INLINE T dot(vec<T, N> x, vec<T, N> y) {
  T sum = x[0] * y[0];
  for (int i = 1; i < N; ++i) {
    sum += x[i] * y[i];
  }
  return sum;
}
template <typename T, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)>
METALSIM_INLINE vec<T, 3> cross(vec<T, 3> x, vec<T, 3> y) {
  return x.yzx * y.zxy - x.zxy * y.yzx;
}

#define METALSIM_OF_REAL_VECTORS                                                                                       \
  template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_real<T>)> METALSIM_INLINE
METALSIM_OF_REAL_VECTORS T length_squared(vec<T, N> x) {
  return dot(x, x);
}
METALSIM_OF_REAL_VECTORS T length(vec<T, N> x) {
  return sqrt(dot(x, x));
}
METALSIM_OF_REAL_VECTORS T distance_squared(vec<T, N> x, vec<T, N> y) {
  return length_squared(x - y);
}
METALSIM_OF_REAL_VECTORS T distance(vec<T, N> x, vec<T, N> y) {
  return length(x - y);
}
METALSIM_OF_REAL_VECTORS vec<T, N> normalize(vec<T, N> x) {
  return x * rsqrt(dot(x, x));
}
METALSIM_OF_REAL_VECTORS vec<T, N> faceforward(vec<T, N> normal, vec<T, N> incident, vec<T, N> reference) {
  return dot(reference, incident) < T(0) ? normal : -normal;
}
METALSIM_OF_REAL_VECTORS vec<T, N> reflect(vec<T, N> incident, vec<T, N> normal) {
  return incident - T(2) * dot(normal, incident) * normal;
}
METALSIM_OF_REAL_VECTORS vec<T, N> refract(vec<T, N> incident, vec<T, N> normal, T eta) {
  const T cosine = dot(normal, incident);
  const T k = T(1) - eta * eta * (T(1) - cosine * cosine);
  return k < T(0) ? vec<T, N>(T(0)) : eta * incident - (eta * cosine + sqrt(k)) * normal;
}
#undef METALSIM_OF_REAL_VECTORS

/// The same for packed vectors.
#define METALSIM_OF_PACKED(NAME)                                                                                       \
  template <typename A, typename V = ::metalsim::shim::MixedVector<A>> METALSIM_INLINE auto NAME(A x) {                \
    return NAME(::metalsim::shim::widen<V>(x));                                                                        \
  }
#define METALSIM_OF_TWO_PACKED(NAME)                                                                                   \
  template <typename A, typename B, typename V = ::metalsim::shim::MixedVector<A, B>>                                  \
  METALSIM_INLINE auto NAME(A x, B y) {                                                                                \
    return NAME(::metalsim::shim::widen<V>(x), ::metalsim::shim::widen<V>(y));                                         \
  }
METALSIM_OF_PACKED(length)
METALSIM_OF_PACKED(length_squared)
METALSIM_OF_PACKED(normalize)
METALSIM_OF_TWO_PACKED(distance)
METALSIM_OF_TWO_PACKED(distance_squared)
METALSIM_OF_TWO_PACKED(dot)
METALSIM_OF_TWO_PACKED(cross)
METALSIM_OF_TWO_PACKED(reflect)
#undef METALSIM_OF_PACKED
#undef METALSIM_OF_TWO_PACKED

} // namespace metal
