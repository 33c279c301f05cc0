// The integer functions: a table of overloads, and the two that take the place of a field as well.
#pragma once

#include "integer_math.h"
#include "vector_functions.h"

#include "metalsim_integer.h" // written by generate.py

namespace metal {

template <typename T, METALSIM_REQUIRES(::metalsim::shim::is_integer<T>)>
METALSIM_INLINE constexpr T extract_bits(T x, uint offset, uint bits) {
  return ::metalsim::shim::integer::extract_bits(x, offset, bits);
}
template <typename T, METALSIM_REQUIRES(::metalsim::shim::is_integer<T>)>
METALSIM_INLINE constexpr T insert_bits(T base, T insert, uint offset, uint bits) {
  return ::metalsim::shim::integer::insert_bits(base, insert, offset, bits);
}
template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_integer<T>)>
METALSIM_INLINE vec<T, N> extract_bits(vec<T, N> x, uint offset, uint bits) {
  vec<T, N> result;
  for (int i = 0; i < N; ++i) {
    result[i] = extract_bits(T(x[i]), offset, bits);
  }
  return result;
}
template <typename T, int N, METALSIM_REQUIRES(::metalsim::shim::is_integer<T>)>
METALSIM_INLINE vec<T, N> insert_bits(vec<T, N> base, vec<T, N> insert, uint offset, uint bits) {
  vec<T, N> result;
  for (int i = 0; i < N; ++i) {
    result[i] = insert_bits(T(base[i]), T(insert[i]), offset, bits);
  }
  return result;
}

} // namespace metal
