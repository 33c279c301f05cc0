// Simdgroup and quadgroup functions and barriers, on warps.
//
// All lanes take part: Metal lets the active ones alone exchange values, but a warp's lanes that diverged are not known
// to each other. Kernels that the checks of metalsim's runtime pass have no simdgroup function in divergent code.
// Reductions are the butterflies of the CPU's runtime (native/runtime/reductions.cpp), and give the same bits.
#pragma once

namespace metalsim::cuda {

inline constexpr uint32_t kAllLanes = ~0u;
inline constexpr uint32_t kWholeWarp = 31;

METALSIM_CUDA_INLINE uint32_t shuffle(uint32_t value, uint32_t source) {
  return static_cast<uint32_t>(
      __nvvm_shfl_sync_idx_i32(kAllLanes, static_cast<int>(value), static_cast<int>(source), kWholeWarp));
}
METALSIM_CUDA_INLINE uint32_t shuffle_xor(uint32_t value, uint32_t mask) {
  return static_cast<uint32_t>(
      __nvvm_shfl_sync_bfly_i32(kAllLanes, static_cast<int>(value), static_cast<int>(mask), kWholeWarp));
}
METALSIM_CUDA_INLINE uint32_t shuffle_up(uint32_t value, uint32_t distance) {
  return static_cast<uint32_t>(
      __nvvm_shfl_sync_up_i32(kAllLanes, static_cast<int>(value), static_cast<int>(distance), 0));
}
METALSIM_CUDA_INLINE uint32_t shuffle_down(uint32_t value, uint32_t distance) {
  return static_cast<uint32_t>(
      __nvvm_shfl_sync_down_i32(kAllLanes, static_cast<int>(value), static_cast<int>(distance), kWholeWarp));
}
METALSIM_CUDA_INLINE uint32_t active_lanes() {
  return __nvvm_activemask();
}

template <typename T> METALSIM_CUDA_INLINE T from_bits(uint32_t bits) {
  if constexpr (sizeof(T) == 2) {
    return __builtin_bit_cast(T, static_cast<uint16_t>(bits));
  } else {
    return __builtin_bit_cast(T, bits);
  }
}
template <typename T> METALSIM_CUDA_INLINE uint32_t to_bits(T value) {
  if constexpr (sizeof(T) == 2) {
    return __builtin_bit_cast(uint16_t, value);
  } else {
    return __builtin_bit_cast(uint32_t, value);
  }
}

template <typename T> inline constexpr bool is_float = __is_same(T, float) || __is_same(T, _Float16);

template <typename T> METALSIM_CUDA_INLINE T combine(abi::Reduction reduction, T a, T b) {
  using abi::Reduction;
  switch (reduction) {
  case Reduction::sum:
  case Reduction::prefix_inclusive_sum:
  case Reduction::prefix_exclusive_sum:
    return static_cast<T>(a + b);
  case Reduction::product:
  case Reduction::prefix_inclusive_product:
  case Reduction::prefix_exclusive_product:
    return static_cast<T>(a * b);
  case Reduction::min:
    if constexpr (is_float<T>) {
      return static_cast<T>(__builtin_fminf(static_cast<float>(a), static_cast<float>(b)));
    } else {
      return b < a ? b : a;
    }
  case Reduction::max:
    if constexpr (is_float<T>) {
      return static_cast<T>(__builtin_fmaxf(static_cast<float>(a), static_cast<float>(b)));
    } else {
      return a < b ? b : a;
    }
  default:
    if constexpr (!is_float<T>) {
      return reduction == Reduction::bit_and ? T(a & b) : reduction == Reduction::bit_or ? T(a | b) : T(a ^ b);
    }
    return a;
  }
}

/// `width` lanes that lie next to each other: 32 or 4.
template <typename T> METALSIM_CUDA_INLINE uint32_t reduce(abi::Reduction reduction, uint32_t bits, uint32_t width) {
  using abi::Reduction;
  const bool is_sum = reduction == Reduction::prefix_inclusive_sum || reduction == Reduction::prefix_exclusive_sum;
  const bool is_inclusive =
      reduction == Reduction::prefix_inclusive_sum || reduction == Reduction::prefix_inclusive_product;
  const bool is_prefix = is_sum || is_inclusive || reduction == Reduction::prefix_exclusive_product;
  if (is_prefix) {
    // One lane after the other, as on the CPU: no kernel here lives off its speed.
    const uint32_t first = lane() / width * width;
    T before = static_cast<T>(is_sum ? 0 : 1);
    T own = before;
    for (uint32_t i = 0; i < width; ++i) {
      const T next = combine(reduction, before, from_bits<T>(shuffle(bits, first + i)));
      own = lane() == first + i ? (is_inclusive ? next : before) : own;
      before = next;
    }
    return to_bits(own);
  }
  for (uint32_t distance = 1; distance < width; distance *= 2) {
    bits = to_bits(combine(reduction, from_bits<T>(bits), from_bits<T>(shuffle_xor(bits, distance))));
  }
  return bits;
}

METALSIM_CUDA_INLINE uint32_t reduce(uint32_t bits, uint32_t parameter, uint32_t width) {
  const abi::Reduction reduction = static_cast<abi::Reduction>(parameter >> 8);
  switch (static_cast<abi::NumberType>(parameter & 0xff)) {
  case abi::NumberType::f32:
    return reduce<float>(reduction, bits, width);
  case abi::NumberType::f16:
    return reduce<_Float16>(reduction, bits, width);
  case abi::NumberType::i32:
    return reduce<int32_t>(reduction, bits, width);
  default:
    return reduce<uint32_t>(reduction, bits, width);
  }
}

METALSIM_CUDA_INLINE uint32_t collective(abi::Collective op, uint32_t value, uint32_t fill, uint32_t parameter) {
  using abi::Collective;
  const uint32_t own = lane();
  const uint32_t quad = own & ~3u;
  switch (op) {
  case Collective::shuffle:
  case Collective::broadcast:
    return shuffle(value, parameter);
  case Collective::shuffle_xor:
    return shuffle_xor(value, parameter);
  case Collective::shuffle_up:
    return shuffle_up(value, parameter);
  case Collective::shuffle_down:
    return shuffle_down(value, parameter);
  case Collective::shuffle_rotate_up:
    return shuffle(value, own - parameter & 31);
  case Collective::shuffle_rotate_down:
    return shuffle(value, own + parameter & 31);
  case Collective::shuffle_and_fill_up: {
    const uint32_t moved = shuffle(value, own - parameter & 31);
    const uint32_t filled = shuffle(fill, own - parameter & 31);
    return own < parameter ? filled : moved;
  }
  case Collective::shuffle_and_fill_down: {
    const uint32_t moved = shuffle(value, own + parameter & 31);
    const uint32_t filled = shuffle(fill, own + parameter & 31);
    return own + parameter >= abi::kSimdWidth ? filled : moved;
  }
  case Collective::broadcast_first:
    return shuffle(value, __builtin_ctz(active_lanes()));
  case Collective::quad_shuffle:
  case Collective::quad_broadcast:
    return shuffle(value, quad | (parameter & 3));
  case Collective::quad_shuffle_xor:
    return shuffle_xor(value, parameter & 3);
  case Collective::quad_shuffle_up: {
    const uint32_t moved = shuffle(value, own - parameter & 31);
    return own - quad < parameter ? value : moved;
  }
  case Collective::quad_shuffle_down: {
    const uint32_t moved = shuffle(value, own + parameter & 31);
    return own - quad + parameter >= 4 ? value : moved;
  }
  case Collective::ballot:
    return static_cast<uint32_t>(__nvvm_vote_ballot_sync(kAllLanes, value != 0));
  case Collective::active_mask:
    return active_lanes();
  case Collective::is_first:
    return own == static_cast<uint32_t>(__builtin_ctz(active_lanes()));
  case Collective::reduce:
    return reduce(value, parameter, abi::kSimdWidth);
  case Collective::quad_reduce:
    return reduce(value, parameter, 4);
  }
  return value;
}

} // namespace metalsim::cuda

// NOLINTBEGIN: the names are the ABI
extern "C" {
METALSIM_BLOCKING METALSIM_CUDA_INLINE uint64_t metalsim_collective(uint32_t op, uint64_t value, uint64_t fill,
                                                                    uint32_t parameter) {
  return ::metalsim::cuda::collective(static_cast<metalsim::abi::Collective>(op), static_cast<uint32_t>(value),
                                      static_cast<uint32_t>(fill), parameter);
}
METALSIM_BLOCKING METALSIM_CUDA_INLINE void metalsim_threadgroup_barrier(uint32_t) {
  __syncthreads();
}
METALSIM_BLOCKING METALSIM_CUDA_INLINE void metalsim_simdgroup_barrier(uint32_t) {
  __nvvm_bar_warp_sync(::metalsim::cuda::kAllLanes);
}
METALSIM_CUDA_INLINE void* metalsim_buffer(const metalsim::abi::Context* context, uint32_t index) {
  return context->buffers[index];
}
}
// NOLINTEND
