// as_type<T>(x): the bits of a value as another type.
#pragma once

#include "bool_vector.h"

template <typename T, typename U> METALSIM_INLINE constexpr T as_type(U value) {
  static_assert(sizeof(T) == sizeof(U), "as_type needs two types of the same size");
  static_assert(metal::is_arithmetic_v<T> && metal::is_arithmetic_v<U>,
                "as_type is for scalars and vectors of numbers");
  return __builtin_bit_cast(T, value);
}

namespace metal {
using ::as_type;
} // namespace metal
