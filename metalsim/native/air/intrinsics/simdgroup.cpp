// Barriers, and what the threads of a simdgroup or of a quad of it do together.

#include "intrinsics.h"

using metalsim::abi::Collective;
using metalsim::abi::NumberType;
using metalsim::abi::Reduction;
using metalsim::air::from_bits;
using metalsim::air::to_bits;

METALSIM_AIR(void, threadgroup_barrier, "air.wg.barrier", (uint32_t flags, uint32_t scope)) {
  (void)scope; // 1, the threadgroup, wherever it was seen
  metalsim_threadgroup_barrier(flags);
}
METALSIM_AIR(void, simdgroup_barrier, "air.simdgroup.barrier", (uint32_t flags, uint32_t scope)) {
  (void)scope;
  metalsim_simdgroup_barrier(flags);
}

METALSIM_AIR(uint16_t, simdgroup_size, "air.get_simdgroup_size.i16", ()) {
  return metalsim::abi::kSimdWidth;
}

namespace {

template <typename T> inline T move(Collective operation, T value, uint32_t parameter) {
  return from_bits<T>(metalsim_collective(static_cast<uint32_t>(operation), to_bits(value), 0, parameter));
}

template <typename T> inline T reduce(Collective operation, Reduction reduction, NumberType type, T value) {
  uint32_t parameter = metalsim::abi::reduction(reduction, type);
  return from_bits<T>(metalsim_collective(static_cast<uint32_t>(operation), to_bits(value), 0, parameter));
}

} // namespace

#define METALSIM_MOVE(type, suffix, name, air_name, operation)                                                         \
  METALSIM_AIR(type, air_name##_##suffix, "air." #air_name "." name, (type value, uint16_t parameter)) {               \
    return move(Collective::operation, value, parameter);                                                              \
  }

#define METALSIM_MOVES(type, suffix, name)                                                                             \
  METALSIM_MOVE(type, suffix, name, simd_shuffle, shuffle)                                                             \
  METALSIM_MOVE(type, suffix, name, simd_shuffle_xor, shuffle_xor)                                                     \
  METALSIM_MOVE(type, suffix, name, simd_shuffle_up, shuffle_up)                                                       \
  METALSIM_MOVE(type, suffix, name, simd_shuffle_down, shuffle_down)                                                   \
  METALSIM_MOVE(type, suffix, name, simd_shuffle_rotate_up, shuffle_rotate_up)                                         \
  METALSIM_MOVE(type, suffix, name, simd_shuffle_rotate_down, shuffle_rotate_down)                                     \
  METALSIM_MOVE(type, suffix, name, simd_broadcast, broadcast)                                                         \
  METALSIM_MOVE(type, suffix, name, quad_shuffle, quad_shuffle)                                                        \
  METALSIM_MOVE(type, suffix, name, quad_shuffle_xor, quad_shuffle_xor)                                                \
  METALSIM_MOVE(type, suffix, name, quad_shuffle_up, quad_shuffle_up)                                                  \
  METALSIM_MOVE(type, suffix, name, quad_shuffle_down, quad_shuffle_down)                                              \
  METALSIM_MOVE(type, suffix, name, quad_broadcast, quad_broadcast)                                                    \
  METALSIM_AIR(type, simd_broadcast_first_##suffix, "air.simd_broadcast_first." name, (type value)) {                  \
    return move(Collective::broadcast_first, value, 0);                                                                \
  }

METALSIM_MOVES(float, f32, "f32")
METALSIM_MOVES(half, f16, "f16")
METALSIM_MOVES(bfloat, bf16, "bf16")
METALSIM_MOVES(int8_t, s8, "s.i8")
METALSIM_MOVES(uint8_t, u8, "u.i8")
METALSIM_MOVES(int16_t, s16, "s.i16")
METALSIM_MOVES(uint16_t, u16, "u.i16")
METALSIM_MOVES(int32_t, s32, "s.i32")
METALSIM_MOVES(uint32_t, u32, "u.i32")
METALSIM_MOVES(int64_t, s64, "s.i64")
METALSIM_MOVES(uint64_t, u64, "u.i64")

#define METALSIM_REDUCE(type, suffix, name, number, operation)                                                         \
  METALSIM_AIR(type, simd_##operation##_##suffix, "air.simd_" #operation "." name, (type value)) {                     \
    return reduce(Collective::reduce, Reduction::operation, NumberType::number, value);                                \
  }                                                                                                                    \
  METALSIM_AIR(type, quad_##operation##_##suffix, "air.quad_" #operation "." name, (type value)) {                     \
    return reduce(Collective::quad_reduce, Reduction::operation, NumberType::number, value);                           \
  }

#define METALSIM_REDUCTIONS(type, suffix, name, number)                                                                \
  METALSIM_REDUCE(type, suffix, name, number, sum)                                                                     \
  METALSIM_REDUCE(type, suffix, name, number, product)                                                                 \
  METALSIM_REDUCE(type, suffix, name, number, min)                                                                     \
  METALSIM_REDUCE(type, suffix, name, number, max)                                                                     \
  METALSIM_REDUCE(type, suffix, name, number, prefix_inclusive_sum)                                                    \
  METALSIM_REDUCE(type, suffix, name, number, prefix_exclusive_sum)                                                    \
  METALSIM_REDUCE(type, suffix, name, number, prefix_inclusive_product)                                                \
  METALSIM_REDUCE(type, suffix, name, number, prefix_exclusive_product)

METALSIM_REDUCTIONS(float, f32, "f32", f32)
METALSIM_REDUCTIONS(half, f16, "f16", f16)
METALSIM_REDUCTIONS(int32_t, s32, "s.i32", i32)
METALSIM_REDUCTIONS(uint32_t, u32, "u.i32", u32)
METALSIM_REDUCTIONS(int64_t, s64, "s.i64", i64)
METALSIM_REDUCTIONS(uint64_t, u64, "u.i64", u64)
