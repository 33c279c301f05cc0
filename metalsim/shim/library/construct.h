// METALSIM_MAKE(T)(arguments...): the constructor call T(arguments...) where T may be a vector.
//
// Metal's vectors are built of scalars and vectors, whose components are converted one by one. clang would take such a
// call for a comma expression, or reinterpret the bits of a vector of the same size.
#pragma once

#include "bool_vector.h"

namespace metalsim::shim {

/// static_cast, and what clang lacks of it: half and bfloat do not convert to each other.
template <typename T, typename A> METALSIM_INLINE constexpr T convert(A value) {
  constexpr bool through_float =
      (__is_same(T, half) && __is_same(A, bfloat)) || (__is_same(T, bfloat) && __is_same(A, half));
  if constexpr (through_float) {
    return static_cast<T>(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

/// Appends the components of a scalar or vector to a vector that is being built.
template <typename V, typename A> METALSIM_INLINE void append(V& vector, int& count, A part) {
  using Element = typename VectorTraits<V>::Element;
  if constexpr (VectorTraits<A>::is_vector) {
    for (int i = 0; i < VectorTraits<A>::width; ++i) {
      const typename VectorTraits<A>::Element component = part[i];
      vector[count++] = convert<Element>(component);
    }
  } else {
    vector[count++] = convert<Element>(part);
  }
}

template <typename T, int N, typename A, size_t... I>
METALSIM_INLINE constexpr metal::vec<T, N> splat(A value, metal::integer_sequence<size_t, I...>) {
  const T element = convert<T>(value);
  return {(static_cast<void>(I), element)...};
}

template <typename V, bool IsVector = VectorTraits<V>::is_vector> struct Make {
  template <typename... A> METALSIM_INLINE static constexpr V from(A... arguments) {
    if constexpr (sizeof...(A) == 1 && (__is_arithmetic(V) || is_floating_number<V>)) {
      return convert<V>(arguments...);
    } else {
      return V(arguments...);
    }
  }
};

template <typename V> struct Make<V, true> {
  using Element = typename VectorTraits<V>::Element;
  static constexpr int width = VectorTraits<V>::width;

  METALSIM_INLINE static constexpr V from() { return V{}; }

  template <typename A> METALSIM_INLINE static constexpr V from(A argument) {
    if constexpr (__is_same(A, V)) {
      return argument;
    } else if constexpr (VectorTraits<A>::is_vector) {
      static_assert(VectorTraits<A>::width == width,
                    "a vector is made of a vector with as many components, or of parts");
      return from_parts(argument);
    } else if constexpr (metal::is_vector_v<V>) {
      return splat<Element, width>(argument, metal::make_index_sequence<width>());
    } else {
      return V(convert<Element>(argument));
    }
  }

  template <typename A, typename B, typename... R>
  METALSIM_INLINE static constexpr V from(A first, B second, R... rest) {
    constexpr int given = VectorTraits<A>::width + VectorTraits<B>::width + (0 + ... + VectorTraits<R>::width);
    static_assert(given == width, "the parts of a vector have to have as many components as the vector");
    static_assert(is_part<A> && is_part<B> && (is_part<R> && ...),
                  "a vector that is part of another one has to have its element type");
    constexpr bool all_scalars =
        !VectorTraits<A>::is_vector && !VectorTraits<B>::is_vector && !(false || ... || VectorTraits<R>::is_vector);
    if constexpr (all_scalars) {
      return V{convert<Element>(first), convert<Element>(second), convert<Element>(rest)...};
    } else {
      return from_parts(first, second, rest...);
    }
  }

private:
  /// Scalars are converted, vectors are not: google/filament#5614. What a comparison of vectors gives is no bool here.
  template <typename A>
  static constexpr bool is_part =
      !VectorTraits<A>::is_vector || __is_same(Element, bool) || __is_same(typename VectorTraits<A>::Element, Element);

  template <typename... A> METALSIM_INLINE static V from_parts(A... parts) {
    V vector;
    int count = 0;
    (append(vector, count, parts), ...);
    return vector;
  }
};

/// A function constant's value. Constant, so that one that is not used leaves nothing behind.
template <typename T, typename V> __attribute__((const)) METALSIM_INLINE constexpr T function_constant(V value) {
  return Make<T>::from(value);
}

/// What a function constant is while a source is only checked: a value that is not known yet.
template <typename T> T function_constant_of_pipeline(uint32_t index);

} // namespace metalsim::shim

#define METALSIM_MAKE(...) ::metalsim::shim::Make<__VA_ARGS__>::from

#ifdef METALSIM_STRICT
#define METALSIM_FUNCTION_CONSTANT(TYPE, INDEX) ::metalsim::shim::function_constant_of_pipeline<TYPE>(INDEX)
#define METALSIM_CONSTANT_DEFINED(INDEX) ::metalsim::shim::function_constant_of_pipeline<bool>(INDEX)
#else
#define METALSIM_FUNCTION_CONSTANT(TYPE, INDEX) ::metalsim::shim::function_constant<TYPE>(METALSIM_CONSTANT_##INDEX)
#define METALSIM_CONSTANT_DEFINED(INDEX) bool(METALSIM_CONSTANT_DEFINED_##INDEX)
#endif
