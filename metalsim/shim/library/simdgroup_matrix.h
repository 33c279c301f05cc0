// 8x8 matrices that a simdgroup holds together: each thread has two elements of a row (abi.h has the layout).
#pragma once

#include "scalar_math.h"
#include "simdgroup.h"

namespace metalsim::shim {

/// Where a thread's first element is in the matrix; the second one is in the next column.
struct MatrixPlace {
  uint row, column;
};
METALSIM_INLINE MatrixPlace matrix_place() {
  const uint thread = lane();
  const uint quad = thread / 4;
  return {(quad & 4) + thread / 2 % 4, (quad & 2) * 2 + thread % 2 * 2};
}

template <typename T> struct MatrixElement;
template <> struct MatrixElement<float> {
  static constexpr abi::MatrixType type = abi::MatrixType::f32;
};
template <> struct MatrixElement<half> {
  static constexpr abi::MatrixType type = abi::MatrixType::f16;
};
template <> struct MatrixElement<bfloat> {
  static constexpr abi::MatrixType type = abi::MatrixType::bf16;
};
template <typename T> inline constexpr bool is_matrix_element = is_floating_number<T>;

/// What thread_elements() gives. Apple's is vec<T, 64>, and so is a matrix in AIR, of which the first two elements are
/// the thread's and the others mean nothing. The strict pass sees such a vector, and refuses what cannot be known of it
/// (native/strict/matrix_elements.cpp). Where kernels run it is a class as large as that, of which nothing but the two
/// elements is ever copied: a vector would be kept in eight registers of the CPU.
inline constexpr int kMatrixElements = 64;
#ifdef METALSIM_STRICT
template <typename T> using ThreadElements = metal::vec<T, kMatrixElements>;
#else
template <typename T> class alignas(kMatrixElements * sizeof(T)) ThreadElements {
public:
  ThreadElements() = default;
  METALSIM_INLINE ThreadElements(const ThreadElements& other) { *this = other; }
  METALSIM_INLINE ThreadElements& operator=(const ThreadElements& other) {
    own_[0] = other.own_[0];
    own_[1] = other.own_[1];
    return *this;
  }
  METALSIM_INLINE T& operator[](int i) & { return own_[i]; }
  METALSIM_INLINE T operator[](int i) const& { return own_[i]; }

private:
  T own_[2];
};
#endif

template <typename T> METALSIM_INLINE abi::MatrixElements as_floats(const ThreadElements<T>& elements) {
  return abi::MatrixElements{static_cast<float>(elements[0]), static_cast<float>(elements[1])};
}

/// One fragment access of the simdgroup: its first thread reports it.
METALSIM_INLINE void count_fragment([[maybe_unused]] abi::Event event) {
#ifdef METALSIM_INSTRUMENTED
  if (lane() == 0) {
    count(event);
  }
#endif
}

/// Index of a thread's element in memory. The origin is a place of the memory, so that transposing does not swap it.
METALSIM_INLINE ulong matrix_offset(int element, ulong elements_per_row, metal::ulong2 origin, bool transpose) {
  const MatrixPlace place = matrix_place();
  const ulong column = place.column + element;
  const ulong x = origin.x + (transpose ? place.row : column);
  const ulong y = origin.y + (transpose ? column : place.row);
  return y * elements_per_row + x;
}

} // namespace metalsim::shim

namespace metal {

template <typename T, int Columns, int Rows> struct simdgroup_matrix {
  static_assert(Columns == 8 && Rows == 8, "a simdgroup_matrix has 8 columns and 8 rows");
  static_assert(::metalsim::shim::is_matrix_element<T>, "the elements of a simdgroup_matrix are half, bfloat or float");

  simdgroup_matrix() = default;
  /// A diagonal matrix.
  METALSIM_INLINE explicit simdgroup_matrix(T diagonal) {
    const ::metalsim::shim::MatrixPlace place = ::metalsim::shim::matrix_place();
    elements_[0] = place.row == place.column ? diagonal : T(0.0f);
    elements_[1] = place.row == place.column + 1 ? diagonal : T(0.0f);
  }

  METALSIM_INLINE ::metalsim::shim::ThreadElements<T>& thread_elements() { return elements_; }
  METALSIM_INLINE ::metalsim::shim::ThreadElements<T> thread_elements() const { return elements_; }

private:
  ::metalsim::shim::ThreadElements<T> elements_;
};

typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <typename T, int Columns, int Rows = Columns>
METALSIM_INLINE simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(T value) {
  simdgroup_matrix<T, Columns, Rows> matrix;
  matrix.thread_elements()[0] = value;
  matrix.thread_elements()[1] = value;
  return matrix;
}
template <typename T, int Columns, int Rows = Columns>
METALSIM_INLINE simdgroup_matrix<T, Columns, Rows> make_diagonal_simdgroup_matrix(T value) {
  return simdgroup_matrix<T, Columns, Rows>(value);
}

#define METALSIM_MATRIX_ACCESS(SPACE, NAME)                                                                            \
  template <typename T, int Columns, int Rows>                                                                         \
  METALSIM_INLINE void simdgroup_load(simdgroup_matrix<T, Columns, Rows>& matrix, const SPACE T* source,               \
                                      ulong elements_per_row = Columns, ulong2 matrix_origin = 0,                      \
                                      bool transpose_matrix = false) {                                                 \
    ::metalsim::shim::count_fragment(::metalsim::abi::Event::fragment_load_##NAME);                                    \
    for (int i = 0; i < 2; ++i) {                                                                                      \
      matrix.thread_elements()[i] =                                                                                    \
          source[::metalsim::shim::matrix_offset(i, elements_per_row, matrix_origin, transpose_matrix)];               \
    }                                                                                                                  \
  }                                                                                                                    \
  template <typename T, int Columns, int Rows>                                                                         \
  METALSIM_INLINE void simdgroup_store(simdgroup_matrix<T, Columns, Rows> matrix, SPACE T* destination,                \
                                       ulong elements_per_row = Columns, ulong2 matrix_origin = 0,                     \
                                       bool transpose_matrix = false) {                                                \
    ::metalsim::shim::count_fragment(::metalsim::abi::Event::fragment_store_##NAME);                                   \
    for (int i = 0; i < 2; ++i) {                                                                                      \
      destination[::metalsim::shim::matrix_offset(i, elements_per_row, matrix_origin, transpose_matrix)] =             \
          matrix.thread_elements()[i];                                                                                 \
    }                                                                                                                  \
  }
METALSIM_MATRIX_ACCESS(METALSIM_DEVICE_SPACE, device)
METALSIM_MATRIX_ACCESS(METALSIM_THREADGROUP_SPACE, threadgroup)
#undef METALSIM_MATRIX_ACCESS

/// d = a * b + c. `d` may be one of the others.
template <typename D, typename A, typename B, typename C>
METALSIM_INLINE void simdgroup_multiply_accumulate(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a,
                                                   const simdgroup_matrix<B, 8, 8>& b,
                                                   const simdgroup_matrix<C, 8, 8>& c) {
  using namespace ::metalsim;
  // Operands may be of any types, as in Apple's header; no kernel is known whose result has another type than c.
  static_assert(__is_same(D, C), "the product of simdgroup matrices must have the element type of what it is added to");
  constexpr uint32_t types = abi::matrix_product(shim::MatrixElement<D>::type, shim::MatrixElement<A>::type,
                                                 shim::MatrixElement<B>::type, shim::MatrixElement<C>::type);
  const abi::MatrixElements result =
      metalsim_matrix_product(types, shim::as_floats<A>(a.thread_elements()), shim::as_floats<B>(b.thread_elements()),
                              shim::as_floats<C>(c.thread_elements()));
  d.thread_elements()[0] = static_cast<D>(result[0]);
  d.thread_elements()[1] = static_cast<D>(result[1]);
}

template <typename D, typename A, typename B>
METALSIM_INLINE void simdgroup_multiply(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a,
                                        const simdgroup_matrix<B, 8, 8>& b) {
  simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<D, 8, 8>(D(0.0f)));
}

template <typename T>
METALSIM_INLINE simdgroup_matrix<T, 8, 8> operator*(const simdgroup_matrix<T, 8, 8>& a,
                                                    const simdgroup_matrix<T, 8, 8>& b) {
  simdgroup_matrix<T, 8, 8> product;
  simdgroup_multiply(product, a, b);
  return product;
}

} // namespace metal
