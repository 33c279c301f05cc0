// Packed vectors: as many elements as a vector, aligned as one element. They convert to vectors and back, and compute
// as them.
#pragma once

#include "construct.h"

namespace metalsim::shim {

template <typename T, int N> struct PackedElements;
template <typename T> struct PackedElements<T, 2> {
  T x, y;
};
template <typename T> struct PackedElements<T, 3> {
  T x, y, z;
};
template <typename T> struct PackedElements<T, 4> {
  T x, y, z, w;
};

/// The vector with the same elements.
template <typename T, int N> struct UnpackedVector {
  using type = metal::vec<T, N>;
};
template <int N> struct UnpackedVector<bool, N> {
  using type = BoolVector<N>;
};

template <typename T, int N> struct PackedVector : PackedElements<T, N> {
  using Vector = typename UnpackedVector<T, N>::type;

  PackedVector() = default;
  METALSIM_INLINE PackedVector(Vector vector) {
    for (int i = 0; i < N; ++i) {
      (*this)[i] = vector[i];
    }
  }
  METALSIM_INLINE constexpr PackedVector(T all) : PackedVector(all, metal::make_index_sequence<N>()) {}
  template <typename... A, METALSIM_REQUIRES(sizeof...(A) == N)>
  METALSIM_INLINE constexpr PackedVector(A... each) : PackedElements<T, N>{convert<T>(each)...} {}

  METALSIM_INLINE operator Vector() const {
    Vector vector;
    for (int i = 0; i < N; ++i) {
      vector[i] = (*this)[i];
    }
    return vector;
  }
  METALSIM_INLINE T& operator[](int i) { return (&this->x)[i]; }
  METALSIM_INLINE const T& operator[](int i) const { return (&this->x)[i]; }

#define METALSIM_PACKED_OPERATOR(OPERATOR)                                                                             \
  METALSIM_INLINE PackedVector& operator OPERATOR##=(Vector other) { return *this = Vector(*this) OPERATOR other; }    \
  friend METALSIM_INLINE Vector operator OPERATOR(PackedVector a, Vector b) { return Vector(a) OPERATOR b; }           \
  friend METALSIM_INLINE Vector operator OPERATOR(Vector a, PackedVector b) { return a OPERATOR Vector(b); }           \
  friend METALSIM_INLINE Vector operator OPERATOR(PackedVector a, PackedVector b) {                                    \
    return Vector(a) OPERATOR Vector(b);                                                                               \
  }
  METALSIM_PACKED_OPERATOR(+)
  METALSIM_PACKED_OPERATOR(-)
  METALSIM_PACKED_OPERATOR(*)
  METALSIM_PACKED_OPERATOR(/)
#undef METALSIM_PACKED_OPERATOR
  friend METALSIM_INLINE Vector operator-(PackedVector a) { return -Vector(a); }

private:
  template <size_t... I>
  METALSIM_INLINE constexpr PackedVector(T all, metal::integer_sequence<size_t, I...>)
      : PackedElements<T, N>{(static_cast<void>(I), all)...} {}
};

template <typename T, int N> struct VectorTraits<PackedVector<T, N>> {
  using Element = T;
  static constexpr int width = N;
  static constexpr bool is_vector = true;
};

} // namespace metalsim::shim

#include "metalsim_packed_types.h" // written by generate.py
