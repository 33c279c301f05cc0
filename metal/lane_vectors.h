// Rows of a head as vectors, 16 bytes a lane: how they lie in the lanes of a simdgroup, and arithmetic with what a lane
// has.
#pragma once

#include <metal_stdlib>

#include "decode_shape.h"
#include "fragments.h"
#include "wide_rows.h"

namespace fused_attn {
using namespace metal;

/// How rows of `width` elements lie in the lanes of a simdgroup.
template <uint width> struct Layout {
  static constexpr constant uint kLoads = width / kLoadElements; ///< of a row, 16 bytes each
  /// Lanes of a row: a power of 2, some of which may have nothing to load.
  static constexpr constant uint kKeyLanes = kLoads > 16  ? 32
                                             : kLoads > 8 ? 16
                                             : kLoads > 4 ? 8
                                             : kLoads > 2 ? 4
                                                          : kLoads;
  static constexpr constant uint kVectors = (kLoads + kKeyLanes - 1) / kKeyLanes; ///< loads of a lane for a row
  static constexpr constant uint kKeys = kLanes / kKeyLanes;                      ///< rows that are loaded at once
  static constexpr constant uint kSteps = kKeyTile / kKeys;                       ///< until a tile is loaded
  static constexpr constant uint kLevels =                                        /// log2 of the steps
      kSteps >= 32   ? 5
      : kSteps >= 16 ? 4
      : kSteps >= 8  ? 3
      : kSteps >= 4  ? 2
      : kSteps >= 2  ? 1
                     : 0;
  static_assert(kKeyTile % kKeys == 0 && kKeyTile <= kLanes, "a tile is several whole loads, and no more than 32 keys");

  /// The key of the tile that a lane loads in a step, and the first one that any lane does.
  METAL_FUNC static uint key(uint step, uint lane) { return step * kKeys + lane / kKeyLanes; }
  METAL_FUNC static uint first_key(uint step) { return step * kKeys; }
  METAL_FUNC static uint column(uint vector, uint lane) {
    return (vector * kKeyLanes + lane % kKeyLanes) * kLoadElements;
  }
  METAL_FUNC static bool has(uint vector, uint lane) {
    return kLoads == kVectors * kKeyLanes || vector * kKeyLanes + lane % kKeyLanes < kLoads;
  }
  /// A lane that has the score of a key after the tree, and the key whose score a lane has.
  METAL_FUNC static uint lane_of_score(uint key) { return key % kKeys * kKeyLanes + key / kKeys; }
  METAL_FUNC static uint key_of_score(uint lane) { return lane % kSteps * kKeys + lane / kKeyLanes; }
};
typedef Layout<kHeadDim> KeyLayout;
typedef Layout<kHeadDimV> ValueLayout;
/// Rows of keys or of values that a simdgroup reads at once: the more of the two.
constant constexpr uint kKeysAtOnce = KeyLayout::kKeys > ValueLayout::kKeys ? KeyLayout::kKeys : ValueLayout::kKeys;
constant constexpr uint kScoreCopies = kLanes / kKeyTile; ///< lanes that have the same key's score

constant constexpr uint kLoadQuads = kLoadElements / 4;

/// 16 bytes of a row, as numbers.
struct Wide {
  float4 quads[kLoadQuads];

  METAL_FUNC static Wide zero() {
    Wide wide;
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoadQuads; ++i) {
      wide.quads[i] = 0.0f;
    }
    return wide;
  }
  METAL_FUNC static Wide load(const device Element* source) {
    const uint4 words = Words<kLoadBytes>::load(source);
    Wide wide;
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoadQuads; ++i) {
      wide.quads[i] = widened(Bytes::quad(words, i));
    }
    return wide;
  }
  /// To a place that is a multiple of 16 bytes. Lanes are 32 bytes apart where they have two vectors, so that the first
  /// ones of all would meet in every other bank; half of the lanes begin with their second one: which, is good
  /// for banks of 4 bytes (every 4 lanes) and of 8 (every 8).
  METAL_FUNC void store(threadgroup float* target, uint lane) const thread {
    const uint first = kLoadQuads == 2 ? (lane / 4 ^ lane / 8) % 2 : 0;
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoadQuads; ++i) {
      reinterpret_cast<threadgroup float4*>(target)[i ^ first] =
          select(quads[i], quads[kLoadQuads - 1 - i], bool4(first != 0));
    }
  }
  METAL_FUNC void scale(float factor) thread {
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoadQuads; ++i) {
      quads[i] *= factor;
    }
  }
  METAL_FUNC void add(Wide other, float factor) thread {
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoadQuads; ++i) {
      quads[i] = fma(other.quads[i], float4(factor), quads[i]);
    }
  }
  METAL_FUNC void add_from_lane(ushort lane_mask) thread {
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoadQuads; ++i) {
      quads[i] += simd_shuffle_xor(quads[i], lane_mask);
    }
  }
};

METAL_FUNC float4 multiplied(Wide a, Wide b, float4 sum) {
#pragma clang loop unroll(full)
  for (uint i = 0; i < kLoadQuads; ++i) {
    sum = fma(a.quads[i], b.quads[i], sum);
  }
  return sum;
}

} // namespace fused_attn
