// A simdgroup: 32 lanes, where each of them is, and what they brought to the collective they wait at.
#pragma once

#include "fiber.h"

#include <cstdint>

namespace metalsim {

inline constexpr uint32_t kAllLanes = ~uint32_t{0};

/// A collective that lanes wait at: a value of abi::Collective, or one of these two.
enum Operation : uint32_t { kMatrixProduct = 64, kSimdgroupBarrier = 65 };

/// Row-major 8x8 matrices of a product, filled in by the lanes (abi::MatrixElements says who holds what).
struct alignas(64) MatrixOperands {
  float a[64], b[64], c[64];
};

struct Simdgroup {
  MatrixOperands matrices;
  Result results[abi::kSimdWidth];

  // Every live lane is in exactly one of these three sets; the running lane is in `ready`.
  uint32_t ready;      ///< can run
  uint32_t waiting;    ///< at a collective
  uint32_t at_barrier; ///< at a threadgroup barrier
  uint32_t live;       ///< has not returned
  uint32_t all;        ///< exists: not the full 32 lanes in the last simdgroup of some threadgroups
  uint32_t returned;   ///< has returned since the observer was last told of a meeting
  uint32_t start;      ///< ascending order begins with the lanes of this set
  uint32_t lane;       ///< runs now, or ran last

  uint32_t index;        ///< in the threadgroup
  uint32_t first_thread; ///< its lane 0 in the threadgroup

  // Of the lanes that wait: the operation and site of one of them, and whether another's differ.
  uint32_t operation;
  bool mismatch;
  const void* site;

  void* stack[abi::kSimdWidth]; ///< suspended stacks; of a running lane, stale
  uint32_t lane_operation[abi::kSimdWidth];
  uint32_t parameter[abi::kSimdWidth]; ///< of a matrix product its types, of a simdgroup barrier its flags
  uint64_t value[abi::kSimdWidth];
  uint64_t fill[abi::kSimdWidth];
};

constexpr uint32_t first_lane(uint32_t mask) {
  return static_cast<uint32_t>(__builtin_ctz(mask));
}
constexpr uint32_t last_lane(uint32_t mask) {
  return 31 - static_cast<uint32_t>(__builtin_clz(mask));
}

} // namespace metalsim
