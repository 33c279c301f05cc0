// Matrix products on tensor cores.
//
// mma has other lanes for the elements than Metal (PTX ISA, mma.m16n8k8):
//
//     lane of    Metal: row = bits 4, 2, 1   columns = bits 3, 0     mma: row = bits 4, 3, 2   columns = bits 1, 0
//
// so a matrix goes through one shuffle for each register. b's pairs must lie along k and not along columns: movmatrix
// transposes it. Two 16-bit matrices are multiplied as they are; where one is float, both become tf32, which has the 10
// bits of a half. The lower half of mma's 16 rows is zero. Sums are fp32.
#pragma once

#include "matrix_product.h"

// Moves between Metal's lanes and mma's, known to lowering/layouts.cpp: a shuffle from lane `source`, or movmatrix.
// NOLINTBEGIN: the names are the pass's
extern "C" {
__attribute__((const)) float metalsim_cuda_to_mma(float value, uint32_t source);
__attribute__((const)) float metalsim_cuda_to_metal(float value, uint32_t source);
__attribute__((const)) uint32_t metalsim_cuda_operand(uint32_t value, uint32_t source);
__attribute__((const)) uint32_t metalsim_cuda_transposed(uint32_t pairs);
}
// NOLINTEND

namespace metalsim::cuda {

/// The lane in Metal that holds what this lane holds for mma, and the other way round.
METALSIM_CUDA_INLINE uint32_t lane_for_mma() {
  return metal_lane(lane() >> 2, lane() & 3);
}
METALSIM_CUDA_INLINE uint32_t lane_for_metal() {
  return own_row() << 2 | own_pair();
}

METALSIM_CUDA_INLINE uint32_t to_tf32(float value) {
  uint32_t result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(value));
  return result;
}

/// 16-bit numbers as tf32, which holds them exactly.
METALSIM_CUDA_INLINE void split(uint32_t pair, abi::MatrixType type, uint32_t& even, uint32_t& odd) {
  const Pair numbers = unpacked(pair, type);
  const float low = numbers[0], high = numbers[1];
  even = __builtin_bit_cast(uint32_t, low);
  odd = __builtin_bit_cast(uint32_t, high);
}

/// a as tf32: columns 2p and 2p + 1 of a row.
METALSIM_CUDA_INLINE void left_tf32(MatrixTypes types, Pair a, uint32_t& even, uint32_t& odd) {
  if (types.a == abi::MatrixType::f32) {
    even = metalsim_cuda_operand(to_tf32(a[0]), lane_for_mma());
    odd = metalsim_cuda_operand(to_tf32(a[1]), lane_for_mma());
  } else {
    split(metalsim_cuda_operand(packed(a, types.a), lane_for_mma()), types.a, even, odd);
  }
}

/// b as tf32, of 16-bit numbers: rows 2p and 2p + 1 of a column. Floats: each lane's two numbers go to two lanes, one
/// in each of two shuffles: an even row gives its first number first, an odd row its second.
METALSIM_CUDA_INLINE void right_tf32(MatrixTypes types, Pair b, uint32_t& even_row, uint32_t& odd_row) {
  if (types.b != abi::MatrixType::f32) {
    const uint32_t moved = metalsim_cuda_operand(packed(b, types.b), lane_for_mma());
    split(metalsim_cuda_transposed(moved), types.b, even_row, odd_row);
    return;
  }
  const bool is_odd = (own_row() & 1) != 0;
  const uint32_t first = to_tf32(is_odd ? b[1] : b[0]);
  const uint32_t second = to_tf32(is_odd ? b[0] : b[1]);
  const uint32_t column = lane() >> 2, pair = lane() & 3;
  const bool is_odd_column = (column & 1) != 0;
  const uint32_t from_first = metalsim_cuda_operand(first, metal_lane(2 * pair + (column & 1), column / 2));
  const uint32_t from_second = metalsim_cuda_operand(second, metal_lane(2 * pair + (~column & 1), column / 2));
  even_row = is_odd_column ? from_second : from_first;
  odd_row = is_odd_column ? from_first : from_second;
}

METALSIM_CUDA_INLINE Pair tensor_product(MatrixTypes types, Pair a, Pair b, Pair c) {
  using abi::MatrixType;
  const uint32_t source = lane_for_mma();
  const float c0 = metalsim_cuda_to_mma(c[0], source), c1 = metalsim_cuda_to_mma(c[1], source);
  float d0, d1;
  [[maybe_unused]] float d2, d3;
  if (types.a == types.b && types.a != MatrixType::f32) {
    const uint32_t left = metalsim_cuda_operand(packed(a, types.a), source);
    const uint32_t right = metalsim_cuda_transposed(metalsim_cuda_operand(packed(b, types.b), source));
    if (types.a == MatrixType::f16) {
      asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %8, %9, %9};"
          : "=f"(d0), "=f"(d1), "=f"(d2), "=f"(d3)
          : "r"(left), "r"(0), "r"(right), "f"(c0), "f"(c1), "f"(0.0f));
    } else {
      asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %8, %9, %9};"
          : "=f"(d0), "=f"(d1), "=f"(d2), "=f"(d3)
          : "r"(left), "r"(0), "r"(right), "f"(c0), "f"(c1), "f"(0.0f));
    }
  } else {
    uint32_t even, odd, even_row, odd_row;
    left_tf32(types, a, even, odd);
    right_tf32(types, b, even_row, odd_row);
    // mma's k = p and p + 4 are the even and the odd number of pair p: any order of k will do, if both have the same.
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %5}, {%7, %8}, "
        "{%9, %10, %11, %11};"
        : "=f"(d0), "=f"(d1), "=f"(d2), "=f"(d3)
        : "r"(even), "r"(0), "r"(odd), "r"(even_row), "r"(odd_row), "f"(c0), "f"(c1), "f"(0.0f));
  }
  return Pair{metalsim_cuda_to_metal(d0, lane_for_metal()), metalsim_cuda_to_metal(d1, lane_for_metal())};
}

} // namespace metalsim::cuda
