// How functions of numbers become functions of vectors: what the overloads that generate.py writes are made of.
//
// Scalars are plain overloads, so that a call with numbers of different types is ambiguous as it is in Metal. Vectors
// are templates: one for vectors of one type, and one, `MixedVector`, for a vector together with scalars, or with
// packed vectors.
#pragma once

#include "construct.h"

namespace metalsim::shim {

/// The vector type among arguments of which at least one is a vector and the others are vectors of the same type,
/// packed or not, or scalars that convert to it; nothing if all are this very type already.
template <typename... A> struct Mixture {
  template <typename First, typename... Rest> static constexpr auto find() {
    if constexpr (VectorTraits<First>::is_vector) {
      using Traits = VectorTraits<First>;
      return metal::type_identity<metal::vec<typename Traits::Element, Traits::width>>();
    } else if constexpr (sizeof...(Rest) > 0) {
      return find<Rest...>();
    } else {
      return metal::type_identity<void>();
    }
  }
  using Vector = typename decltype(find<A...>())::type;

  template <typename T> static constexpr bool fits() {
    using Traits = VectorTraits<T>;
    using Target = VectorTraits<Vector>;
    if constexpr (Traits::is_vector) {
      return __is_same(typename Traits::Element, typename Target::Element) && Traits::width == Target::width;
    } else {
      return __is_arithmetic(T) || is_floating_number<T>;
    }
  }
  static constexpr bool exists = !__is_void(Vector) && (fits<A>() && ...) && !(__is_same(A, Vector) && ...);
};

template <bool IsWanted, typename... A> struct MixedVectorIf {};
template <typename... A> struct MixedVectorIf<true, A...> {
  using type = typename Mixture<A...>::Vector;
};
template <typename... A> using MixedVector = typename MixedVectorIf<Mixture<A...>::exists, A...>::type;

/// A scalar or packed vector as a vector.
template <typename V, typename A> METALSIM_INLINE V widen(A value) {
  return Make<V>::from(value);
}

} // namespace metalsim::shim
