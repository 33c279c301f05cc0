// Small matrices of a thread, float4x4 and its like: columns that are vectors.
#pragma once

#include "geometric.h"

namespace metal {

template <typename T, int Columns, int Rows> struct matrix {
  // The specification has float and half. ggml names matrix<bfloat, 4, 4>, and is compiled by Apple's compiler.
  static_assert(::metalsim::shim::is_floating_number<T>, "the elements of a matrix are float, half or bfloat");
  using Column = vec<T, Rows>;

  matrix() = default;
  /// A diagonal matrix.
  METALSIM_INLINE explicit matrix(T diagonal) {
    for (int column = 0; column < Columns; ++column) {
      columns[column] = T(0);
      if (column < Rows) {
        columns[column][column] = diagonal;
      }
    }
  }
  /// Of columns, or of all elements, column by column.
  template <typename... A, METALSIM_REQUIRES(sizeof...(A) == Columns && (__is_convertible_to(A, Column) && ...) &&
                                             (::metalsim::shim::VectorTraits<A>::is_vector && ...))>
  METALSIM_INLINE matrix(A... each) : columns{each...} {}
  template <typename... A, METALSIM_REQUIRES(sizeof...(A) == Columns * Rows && Columns * Rows > 1 &&
                                             !(::metalsim::shim::VectorTraits<A>::is_vector || ...))>
  METALSIM_INLINE matrix(A... each) {
    const T elements[] = {static_cast<T>(each)...};
    for (int i = 0; i < Columns * Rows; ++i) {
      columns[i / Rows][i % Rows] = elements[i];
    }
  }
  template <typename U, METALSIM_REQUIRES(!__is_same(T, U))>
  METALSIM_INLINE explicit matrix(matrix<U, Columns, Rows> other) {
    for (int column = 0; column < Columns; ++column) {
      columns[column] = ::metalsim::shim::Make<Column>::from(other[column]);
    }
  }

  METALSIM_INLINE Column& operator[](int column) { return columns[column]; }
  METALSIM_INLINE const Column& operator[](int column) const { return columns[column]; }

  Column columns[Columns];
};

#define METALSIM_MATRIX_FUNCTION template <typename T, int Columns, int Rows> METALSIM_INLINE

#define METALSIM_MATRIX_SUM(OPERATOR)                                                                                  \
  METALSIM_MATRIX_FUNCTION matrix<T, Columns, Rows> operator OPERATOR(matrix<T, Columns, Rows> a,                      \
                                                                      matrix<T, Columns, Rows> b) {                    \
    for (int column = 0; column < Columns; ++column) {                                                                 \
      a[column] = a[column] OPERATOR b[column];                                                                        \
    }                                                                                                                  \
    return a;                                                                                                          \
  }
METALSIM_MATRIX_SUM(+)
METALSIM_MATRIX_SUM(-)
#undef METALSIM_MATRIX_SUM

METALSIM_MATRIX_FUNCTION matrix<T, Columns, Rows> operator*(matrix<T, Columns, Rows> a, T factor) {
  for (int column = 0; column < Columns; ++column) {
    a[column] *= factor;
  }
  return a;
}
METALSIM_MATRIX_FUNCTION matrix<T, Columns, Rows> operator*(T factor, matrix<T, Columns, Rows> a) {
  return a * factor;
}
METALSIM_MATRIX_FUNCTION vec<T, Rows> operator*(matrix<T, Columns, Rows> a, vec<T, Columns> x) {
  vec<T, Rows> sum = a[0] * x[0];
  for (int column = 1; column < Columns; ++column) {
    sum += a[column] * x[column];
  }
  return sum;
}
METALSIM_MATRIX_FUNCTION vec<T, Columns> operator*(vec<T, Rows> x, matrix<T, Columns, Rows> a) {
  vec<T, Columns> result;
  for (int column = 0; column < Columns; ++column) {
    result[column] = dot(x, a[column]);
  }
  return result;
}
template <typename T, int Inner, int Rows, int Columns>
METALSIM_INLINE matrix<T, Columns, Rows> operator*(matrix<T, Inner, Rows> a, matrix<T, Columns, Inner> b) {
  matrix<T, Columns, Rows> product;
  for (int column = 0; column < Columns; ++column) {
    product[column] = a * b[column];
  }
  return product;
}
METALSIM_MATRIX_FUNCTION bool operator==(matrix<T, Columns, Rows> a, matrix<T, Columns, Rows> b) {
  for (int i = 0; i < Columns * Rows; ++i) {
    if (a[i / Rows][i % Rows] != b[i / Rows][i % Rows]) {
      return false;
    }
  }
  return true;
}

METALSIM_MATRIX_FUNCTION matrix<T, Rows, Columns> transpose(matrix<T, Columns, Rows> a) {
  matrix<T, Rows, Columns> result;
  for (int i = 0; i < Columns * Rows; ++i) {
    result[i % Rows][i / Rows] = a[i / Rows][i % Rows];
  }
  return result;
}
#undef METALSIM_MATRIX_FUNCTION

template <typename T> METALSIM_INLINE T determinant(matrix<T, 2, 2> a) {
  return a[0].x * a[1].y - a[1].x * a[0].y;
}
template <typename T> METALSIM_INLINE T determinant(matrix<T, 3, 3> a) {
  return dot(a[0], cross(a[1], a[2]));
}
/// Along the first column.
template <typename T> METALSIM_INLINE T determinant(matrix<T, 4, 4> a) {
  T sum = T(0);
  for (int row = 0; row < 4; ++row) {
    matrix<T, 3, 3> minor;
    for (int i = 0; i < 9; ++i) {
      const int from = i % 3;
      minor[i / 3][from] = a[i / 3 + 1][from < row ? from : from + 1];
    }
    sum += (row % 2 == 0 ? a[0][row] : -a[0][row]) * determinant(minor);
  }
  return sum;
}

} // namespace metal

#include "metalsim_matrix_types.h" // written by generate.py
