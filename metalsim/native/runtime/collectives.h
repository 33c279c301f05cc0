// What the collectives compute, once the lanes that take part have met.
#pragma once

#include "simdgroup.h"

namespace metalsim {

/// Offset of a lane's first element in a row-major 8x8 matrix; the second one follows.
///
///            column 0 1   2 3   4 5   6 7
///     row 0        0     1     8     9          lane that holds the pair: the two bits of a lane's number that choose
///     row 1        2     3    10    11          between pairs are 0 and 3 (a column exchange is a shuffle by 1 or 8),
///     row 2        4     5    12    13          all the others choose the row
///     row 3        6     7    14    15
///     row 4       16    17    24    25
///     row 7       22    23    30    31
constexpr uint32_t matrix_offset(uint32_t lane) {
  const uint32_t quad = lane / 4;
  const uint32_t row = (quad & 4) + lane / 2 % 4;
  const uint32_t column = (quad & 2) * 2 + lane % 2 * 2;
  return row * 8 + column;
}

/// d = a * b + c in fp32, each element one chain of fused multiply-adds that starts with c. Lanes outside of `mask`
/// brought nothing: what depends on them becomes NaN.
void multiply_matrices(Simdgroup& simdgroup, uint32_t mask);

/// Runs `op` under the active lanes `mask` and leaves a result for each of them. Returns those that read from a lane
/// that is not active or does not exist (their result is all ones, NaN in every floating-point format), and those whose
/// broadcast names another lane than the first one's.
uint32_t run_collective(Simdgroup& simdgroup, abi::Collective op, uint32_t mask);

/// Reductions and prefixes over the lanes of `mask`, in lanes [first, first + width).
void reduce(Simdgroup& simdgroup, uint32_t parameter, uint32_t mask, uint32_t first, uint32_t width);

} // namespace metalsim
