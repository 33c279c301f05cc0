// Sizes of the prefill kernel's tiles, from its macros.
#pragma once

#include <metal_stdlib>

#include "fragments.h"
#include "kv_source.h"
#include "score_rules.h"

namespace fused_attn {

constant constexpr uint kHeadDim = FUSED_ATTN_HEAD_DIM;
constant constexpr uint kHeadDimV = FUSED_ATTN_HEAD_DIM_V;
constant constexpr uint kHeadBlocks = kHeadDim / kFragment; ///< fragments side by side
constant constexpr uint kHeadBlocksV = kHeadDimV / kFragment;
static_assert(kHeadDim % kFragment == 0 && kHeadDimV % kFragment == 0, "the host pads head dims to a multiple of 8");

constant constexpr uint kSimdgroups = FUSED_ATTN_SIMDGROUPS;
constant constexpr uint kRowTiles = FUSED_ATTN_ROW_TILES; ///< of 8 rows, of a simdgroup
constant constexpr uint kSimdgroupRows = kRowTiles * kFragment;
constant constexpr uint kQueryTile = kSimdgroups * kSimdgroupRows; ///< rows of a threadgroup
constant constexpr uint kThreads = kSimdgroups * kLanes;

constant constexpr uint kKeyTile = FUSED_ATTN_KEY_TILE; ///< keys of a step
constant constexpr uint kKeyBlocks = kKeyTile / kFragment;
static_assert(kKeyTile % kFragment == 0, "a key tile is made of 8x8 fragments");

/// Type of the fragments of Q, K and V.
#if FUSED_ATTN_STAGED
typedef FUSED_ATTN_STAGE_ELEMENT OperandElement;
#else
typedef Element OperandElement;
#endif

/// Blocks of 8 keys of a tile, begin, ..., end - 1.
struct KeyBlocks {
  uint begin, end;

  METAL_FUNC bool has(uint block) const thread { return block >= begin && block < end; }
  METAL_FUNC bool is_empty() const thread { return begin >= end; }
};

/// The blocks of the tile at `first_key` in which there is one of the keys.
METAL_FUNC KeyBlocks blocks_with(KeyRange keys, uint first_key) {
  const uint from = max(keys.begin, first_key) - first_key;
  const uint to = min(max(keys.end, first_key) - first_key, kKeyTile);
  return {from / kFragment, (to + kFragment - 1) / kFragment};
}

} // namespace fused_attn
