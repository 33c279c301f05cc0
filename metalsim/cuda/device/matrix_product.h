// d = a * b + c of 8x8 matrices, in two ways.
//
// METALSIM_CUDA_TENSOR 0: multiply-adds in fp32, k = 0, ..., 7 one after the other, as the CPU's runtime does it; the
// numbers come from the lanes that hold them by shuffles.
//
// METALSIM_CUDA_TENSOR 1: tensor cores (tensor_product.h).
#pragma once

namespace metalsim::cuda {

typedef abi::MatrixElements Pair;

struct MatrixTypes {
  abi::MatrixType d, a, b, c;
  constexpr explicit MatrixTypes(uint32_t types)
      : d(static_cast<abi::MatrixType>(types >> 6 & 3)), a(static_cast<abi::MatrixType>(types >> 4 & 3)),
        b(static_cast<abi::MatrixType>(types >> 2 & 3)), c(static_cast<abi::MatrixType>(types & 3)) {}
};

/// A shuffle that the optimiser may take out where its result is known already: nothing depends on the time it is done.
METALSIM_CUDA_INLINE uint32_t pure_shuffle(uint32_t value, uint32_t source) {
  uint32_t result;
  asm("shfl.sync.idx.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(result) : "r"(value), "r"(source));
  return result;
}
METALSIM_CUDA_INLINE float pure_shuffle(float value, uint32_t source) {
  return __builtin_bit_cast(float, pure_shuffle(__builtin_bit_cast(uint32_t, value), source));
}

/// The lane that holds columns 2 * pair and 2 * pair + 1 of a row, in Metal.
METALSIM_CUDA_INLINE constexpr uint32_t metal_lane(uint32_t row, uint32_t pair) {
  return (row & 4) << 2 | (pair & 2) << 2 | (row & 3) << 1 | (pair & 1);
}
METALSIM_CUDA_INLINE uint32_t own_row() {
  return (lane() >> 2 & 4) | (lane() >> 1 & 3);
}
METALSIM_CUDA_INLINE uint32_t own_pair() {
  return (lane() >> 2 & 2) | (lane() & 1);
}

/// The 16 bits of numbers that were converted to float from them.
METALSIM_CUDA_INLINE uint32_t packed(Pair pair, abi::MatrixType type) {
  if (type == abi::MatrixType::bf16) {
    typedef __bf16 Bfloats __attribute__((vector_size(4)));
    return __builtin_bit_cast(uint32_t, (Bfloats{static_cast<__bf16>(pair[0]), static_cast<__bf16>(pair[1])}));
  }
  typedef _Float16 Halves __attribute__((vector_size(4)));
  return __builtin_bit_cast(uint32_t, (Halves{static_cast<_Float16>(pair[0]), static_cast<_Float16>(pair[1])}));
}
METALSIM_CUDA_INLINE Pair unpacked(uint32_t bits, abi::MatrixType type) {
  if (type == abi::MatrixType::bf16) {
    return Pair{__builtin_bit_cast(float, bits << 16), __builtin_bit_cast(float, bits & 0xffff0000u)};
  }
  typedef _Float16 Halves __attribute__((vector_size(4)));
  const Halves halves = __builtin_bit_cast(Halves, bits);
  return Pair{static_cast<float>(halves[0]), static_cast<float>(halves[1])};
}
/// 16-bit pairs move in one shuffle.
METALSIM_CUDA_INLINE Pair moved(Pair pair, abi::MatrixType type, uint32_t source) {
  if (type == abi::MatrixType::f32) {
    return Pair{pure_shuffle(pair[0], source), pure_shuffle(pair[1], source)};
  }
  return unpacked(pure_shuffle(packed(pair, type), source), type);
}

/// A function of its own for each pair of types: inlined, a kernel's hundreds of products would take minutes to
/// compile.
template <abi::MatrixType A, abi::MatrixType B>
__attribute__((noinline, convergent)) Pair exact_product(float a0, float a1, float b0, float b1, float c0, float c1) {
  const uint32_t row = own_row(), pair = own_pair();
  Pair sum = {c0, c1};
#pragma unroll
  for (uint32_t k = 0; k < 8; k += 2) {
    const Pair factors = moved(Pair{a0, a1}, A, metal_lane(row, k / 2));
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const Pair others = moved(Pair{b0, b1}, B, metal_lane(k + i, pair));
      sum[0] = __builtin_fmaf(factors[i], others[0], sum[0]);
      sum[1] = __builtin_fmaf(factors[i], others[1], sum[1]);
    }
  }
  return sum;
}

template <abi::MatrixType A> METALSIM_CUDA_INLINE Pair exact_product(abi::MatrixType b_type, Pair a, Pair b, Pair c) {
  using abi::MatrixType;
  switch (b_type) {
  case MatrixType::f32:
    return exact_product<A, MatrixType::f32>(a[0], a[1], b[0], b[1], c[0], c[1]);
  case MatrixType::f16:
    return exact_product<A, MatrixType::f16>(a[0], a[1], b[0], b[1], c[0], c[1]);
  default:
    return exact_product<A, MatrixType::bf16>(a[0], a[1], b[0], b[1], c[0], c[1]);
  }
}

METALSIM_CUDA_INLINE Pair exact_product(MatrixTypes types, Pair a, Pair b, Pair c) {
  using abi::MatrixType;
  switch (types.a) {
  case MatrixType::f32:
    return exact_product<MatrixType::f32>(types.b, a, b, c);
  case MatrixType::f16:
    return exact_product<MatrixType::f16>(types.b, a, b, c);
  default:
    return exact_product<MatrixType::bf16>(types.b, a, b, c);
  }
}

} // namespace metalsim::cuda

#if METALSIM_CUDA_TENSOR
#include "tensor_product.h"
#endif

// NOLINTBEGIN: the name is the ABI
extern "C" METALSIM_BLOCKING METALSIM_CUDA_INLINE metalsim::abi::MatrixElements
metalsim_matrix_product(uint32_t types, metalsim::abi::MatrixElements a, metalsim::abi::MatrixElements b,
                        metalsim::abi::MatrixElements c) {
#if METALSIM_CUDA_TENSOR
  return ::metalsim::cuda::tensor_product(::metalsim::cuda::MatrixTypes(types), a, b, c);
#else
  return ::metalsim::cuda::exact_product(::metalsim::cuda::MatrixTypes(types), a, b, c);
#endif
}
// NOLINTEND
