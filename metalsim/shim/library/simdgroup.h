// Exchanges, reductions and votes of a simdgroup and of a quad, four threads of it.
//
// The runtime moves 8 bytes at a time. The hardware moves 32 bits for each thread and shuffle, and so does this: a
// float4 is four shuffles, a half4 two.
#pragma once

#include "vector_functions.h"

namespace metalsim::shim {

template <typename T> inline constexpr bool is_simd_number = is_real<T> || (is_integer<T> && sizeof(T) <= 4);

METALSIM_INLINE uint lane() {
  return metalsim_position()->thread_index_in_simdgroup;
}

/// A value as 32-bit words, without the padding of a vector with three components.
template <typename T> struct Words {
  static constexpr int count = (VectorTraits<T>::width * sizeof(typename VectorTraits<T>::Element) + 3) / 4;
  uint32_t words[count] = {};

  METALSIM_INLINE explicit Words(T value) {
    __builtin_memcpy(words, &value, sizeof(T) < sizeof words ? sizeof(T) : sizeof words);
  }
  METALSIM_INLINE T value() const {
    T result;
    __builtin_memcpy(&result, words, sizeof(T) < sizeof words ? sizeof(T) : sizeof words);
    return result;
  }
};

template <abi::Collective Op, typename T> METALSIM_INLINE T exchange(T value, ushort parameter) {
  Words<T> moved(value);
  for (uint32_t& word : moved.words) {
    word = static_cast<uint32_t>(metalsim_collective(static_cast<uint32_t>(Op), word, 0, parameter));
  }
  return moved.value();
}

/// `modulo` cuts the simdgroup into vectors of that many lanes; a vector's ends are filled from the same lanes of
/// `fill`.
template <abi::Collective Op, typename T>
METALSIM_INLINE T exchange_and_fill(T value, T fill, ushort delta, ushort modulo) {
  constexpr bool is_up = Op == abi::Collective::shuffle_and_fill_up;
  Words<T> moved(value);
  const Words<T> filling(fill);
  if (modulo == abi::kSimdWidth) {
    for (int i = 0; i < Words<T>::count; ++i) {
      moved.words[i] = static_cast<uint32_t>(
          metalsim_collective(static_cast<uint32_t>(Op), moved.words[i], filling.words[i], delta));
    }
    return moved.value();
  }
  // Each lane is read by exactly one lane, which wants its filling if it lies on the other side of the vector's end.
  const uint first = lane() / modulo * modulo;
  const uint place = lane() - first;
  const bool is_filling = is_up ? place + delta >= modulo : place < delta;
  const uint source = first + (is_up ? place + modulo - delta : place + delta) % modulo;
  return exchange<abi::Collective::shuffle>(is_filling ? fill : value, static_cast<ushort>(source));
}

template <typename T> METALSIM_INLINE T quad_rotate_up(T value, ushort delta) {
  return exchange<abi::Collective::quad_shuffle>(value, (lane() - delta) & 3);
}
template <typename T> METALSIM_INLINE T quad_rotate_down(T value, ushort delta) {
  return exchange<abi::Collective::quad_shuffle>(value, (lane() + delta) & 3);
}

/// What the runtime adds up, and as which of its types: small integers as 32 bits.
template <typename T> struct Reducible {
  using type = metal::conditional_t<__is_signed(T), int, uint>;
  static constexpr abi::NumberType number = __is_signed(T) ? abi::NumberType::i32 : abi::NumberType::u32;
};
template <> struct Reducible<float> {
  using type = float;
  static constexpr abi::NumberType number = abi::NumberType::f32;
};
template <> struct Reducible<half> {
  using type = half;
  static constexpr abi::NumberType number = abi::NumberType::f16;
};

template <abi::Collective Op, abi::Reduction Kind, typename T> METALSIM_INLINE T reduce(T value) {
  if constexpr (VectorTraits<T>::is_vector) {
    using Element = typename VectorTraits<T>::Element;
    T result;
    for (int i = 0; i < VectorTraits<T>::width; ++i) {
      const Element component = value[i];
      result[i] = reduce<Op, Kind, Element>(component);
    }
    return result;
  } else {
    using Number = typename Reducible<T>::type;
    constexpr uint32_t parameter = abi::reduction(Kind, Reducible<T>::number);
    const Words<Number> sent(static_cast<Number>(value));
    Words<Number> received(sent);
    received.words[0] =
        static_cast<uint32_t>(metalsim_collective(static_cast<uint32_t>(Op), sent.words[0], 0, parameter));
    return static_cast<T>(received.value());
  }
}

METALSIM_INLINE uint32_t ballot(bool vote) {
  return static_cast<uint32_t>(metalsim_collective(static_cast<uint32_t>(abi::Collective::ballot), vote, 0, 0));
}
METALSIM_INLINE uint32_t active_lanes() {
  return static_cast<uint32_t>(metalsim_collective(static_cast<uint32_t>(abi::Collective::active_mask), 0, 0, 0));
}
/// The bits of this thread's quad.
METALSIM_INLINE uint32_t of_quad(uint32_t lanes) {
  return (lanes >> (lane() & ~3u)) & 15u;
}

template <typename T> METALSIM_INLINE T quad_broadcast_first(T value) {
  const uint32_t active = of_quad(active_lanes());
  return exchange<abi::Collective::quad_broadcast>(value, static_cast<ushort>(__builtin_ctz(active)));
}

/// The bits of a vote; `All` has a bit for every thread of the group.
template <typename Bits, uint32_t All> class Vote {
public:
  using vote_t = Bits;
  METALSIM_INLINE constexpr explicit Vote(vote_t bits = 0) : bits_(bits) {}
  METALSIM_INLINE constexpr explicit operator vote_t() const { return bits_; }
  METALSIM_INLINE constexpr bool all() const { return (bits_ & All) == All; }
  METALSIM_INLINE constexpr bool any() const { return (bits_ & All) != 0; }

private:
  vote_t bits_;
};

} // namespace metalsim::shim

#include "metalsim_simdgroup.h" // written by generate.py

namespace metal {

/// Whether the functions below take it. Candle's kernels ask Apple's library by this name.
template <typename T>
struct __is_valid_simdgroup_type : bool_constant<::metalsim::shim::is_simd_number<::metalsim::shim::Element<T>>> {};

class simd_vote : public metalsim::shim::Vote<ulong, 0xffffffffu> {
public:
  using Vote::Vote;
};
class quad_vote : public metalsim::shim::Vote<ushort, 15u> {
public:
  using Vote::Vote;
};

METALSIM_INLINE simd_vote simd_ballot(bool vote) {
  return simd_vote(metalsim::shim::ballot(vote));
}
METALSIM_INLINE bool simd_any(bool vote) {
  return metalsim::shim::ballot(vote) != 0;
}
METALSIM_INLINE bool simd_all(bool vote) {
  return metalsim::shim::ballot(!vote) == 0;
}
METALSIM_INLINE simd_vote simd_active_threads_mask() {
  return simd_vote(metalsim::shim::active_lanes());
}
METALSIM_INLINE bool simd_is_first() {
  return metalsim_collective(static_cast<uint32_t>(metalsim::abi::Collective::is_first), 0, 0, 0) != 0;
}
METALSIM_INLINE bool simd_is_helper_thread() {
  return false;
}

METALSIM_INLINE quad_vote quad_ballot(bool vote) {
  return quad_vote(metalsim::shim::of_quad(metalsim::shim::ballot(vote)));
}
METALSIM_INLINE bool quad_any(bool vote) {
  return metalsim::shim::of_quad(metalsim::shim::ballot(vote)) != 0;
}
METALSIM_INLINE bool quad_all(bool vote) {
  return metalsim::shim::of_quad(metalsim::shim::ballot(!vote)) == 0;
}
METALSIM_INLINE quad_vote quad_active_threads_mask() {
  return quad_vote(metalsim::shim::of_quad(metalsim::shim::active_lanes()));
}
METALSIM_INLINE bool quad_is_first() {
  const uint32_t active = metalsim::shim::of_quad(metalsim::shim::active_lanes());
  return static_cast<uint32_t>(__builtin_ctz(active)) == (metalsim::shim::lane() & 3);
}

} // namespace metal
