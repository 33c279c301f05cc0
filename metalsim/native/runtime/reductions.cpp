// Reductions and prefixes over the lanes of a simdgroup or quad.
//
// A reduction is the tree that a butterfly of shuffles by 1, 2, 4, 8, 16 makes: addition commutes, so that all lanes of
// a butterfly get the same bits and one of them is enough. Lanes that are not active are left out of the tree. A prefix
// adds the lanes up one after the other. Which order Apple's hardware takes is not documented for either.
#include "collectives.h"

#include <cmath>
#include <cstring>
#include <type_traits>

namespace metalsim {

namespace {

using abi::NumberType;
using abi::Reduction;

template <class T> T unpack(uint64_t bits) {
  T number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

template <class T> uint64_t pack(T number) {
  uint64_t bits = 0;
  std::memcpy(&bits, &number, sizeof number);
  return bits;
}

template <class T> inline constexpr bool is_integer = std::is_integral_v<T>;

/// Signed sums and products wrap around as on the hardware.
template <class T>
using Wrapping = typename std::conditional_t<is_integer<T>, std::make_unsigned<T>, std::enable_if<true, T>>::type;

struct Sum {
  template <class T> T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
  }
};

struct Product {
  template <class T> T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
  }
};

/// Of a number and a NaN, min and max are the number.
struct Min {
  template <class T> T operator()(T a, T b) const {
    if constexpr (is_integer<T>) {
      return b < a ? b : a;
    } else {
      return static_cast<T>(std::fmin(static_cast<float>(a), static_cast<float>(b)));
    }
  }
};

struct Max {
  template <class T> T operator()(T a, T b) const {
    if constexpr (is_integer<T>) {
      return a < b ? b : a;
    } else {
      return static_cast<T>(std::fmax(static_cast<float>(a), static_cast<float>(b)));
    }
  }
};

struct BitAnd {
  template <class T> T operator()(T a, T b) const { return a & b; }
};

struct BitOr {
  template <class T> T operator()(T a, T b) const { return a | b; }
};

struct BitXor {
  template <class T> T operator()(T a, T b) const { return a ^ b; }
};

/// The lanes that a reduction works on: some of [first, first + width).
struct Lanes {
  uint32_t mask, first, width;

  bool active(uint32_t offset) const { return mask >> (first + offset) & 1; }
};

template <class T, class Combine> void reduce_tree(Simdgroup& simdgroup, const Lanes& lanes, Combine combine) {
  T partial[abi::kSimdWidth];
  bool exists[abi::kSimdWidth];
  for (uint32_t i = 0; i < lanes.width; ++i) {
    partial[i] = unpack<T>(simdgroup.value[lanes.first + i]);
    exists[i] = lanes.active(i);
  }
  for (uint32_t distance = 1; distance < lanes.width; distance *= 2) {
    for (uint32_t i = 0; i < lanes.width; i += 2 * distance) {
      const uint32_t other = i + distance;
      if (exists[i] && exists[other]) {
        partial[i] = combine(partial[i], partial[other]);
      } else if (exists[other]) {
        partial[i] = partial[other];
        exists[i] = true;
      }
    }
  }
  for (uint32_t i = 0; i < lanes.width; ++i) {
    if (lanes.active(i)) {
      simdgroup.results[lanes.first + i].value = pack(partial[0]);
    }
  }
}

template <class T, class Combine>
void prefix(Simdgroup& simdgroup, const Lanes& lanes, Combine combine, T identity, bool inclusive) {
  T before = identity;
  for (uint32_t i = 0; i < lanes.width; ++i) {
    if (!lanes.active(i)) {
      continue;
    }
    const T with_own = combine(before, unpack<T>(simdgroup.value[lanes.first + i]));
    simdgroup.results[lanes.first + i].value = pack(inclusive ? with_own : before);
    before = with_own;
  }
}

template <class T> void reduce_bits(Simdgroup& simdgroup, Reduction reduction, const Lanes& lanes) {
  if constexpr (is_integer<T>) {
    switch (reduction) {
    case Reduction::bit_and:
      return reduce_tree<T>(simdgroup, lanes, BitAnd());
    case Reduction::bit_or:
      return reduce_tree<T>(simdgroup, lanes, BitOr());
    default:
      return reduce_tree<T>(simdgroup, lanes, BitXor());
    }
  }
}

template <class T> void reduce_numbers(Simdgroup& simdgroup, Reduction reduction, const Lanes& lanes) {
  switch (reduction) {
  case Reduction::sum:
    return reduce_tree<T>(simdgroup, lanes, Sum());
  case Reduction::product:
    return reduce_tree<T>(simdgroup, lanes, Product());
  case Reduction::min:
    return reduce_tree<T>(simdgroup, lanes, Min());
  case Reduction::max:
    return reduce_tree<T>(simdgroup, lanes, Max());
  case Reduction::bit_and:
  case Reduction::bit_or:
  case Reduction::bit_xor:
    return reduce_bits<T>(simdgroup, reduction, lanes);
  case Reduction::prefix_inclusive_sum:
    return prefix(simdgroup, lanes, Sum(), T(0), true);
  case Reduction::prefix_exclusive_sum:
    return prefix(simdgroup, lanes, Sum(), T(0), false);
  case Reduction::prefix_inclusive_product:
    return prefix(simdgroup, lanes, Product(), T(1), true);
  case Reduction::prefix_exclusive_product:
    return prefix(simdgroup, lanes, Product(), T(1), false);
  }
}

} // namespace

void reduce(Simdgroup& simdgroup, uint32_t parameter, uint32_t mask, uint32_t first, uint32_t width) {
  const Lanes lanes = {mask, first, width};
  const Reduction reduction = static_cast<Reduction>(parameter >> 8);
  switch (static_cast<NumberType>(parameter & 0xff)) {
  case NumberType::f32:
    return reduce_numbers<float>(simdgroup, reduction, lanes);
  case NumberType::f16:
    return reduce_numbers<_Float16>(simdgroup, reduction, lanes);
  case NumberType::i32:
    return reduce_numbers<int32_t>(simdgroup, reduction, lanes);
  case NumberType::u32:
    return reduce_numbers<uint32_t>(simdgroup, reduction, lanes);
  case NumberType::i64:
    return reduce_numbers<int64_t>(simdgroup, reduction, lanes);
  case NumberType::u64:
    return reduce_numbers<uint64_t>(simdgroup, reduction, lanes);
  }
}

} // namespace metalsim
