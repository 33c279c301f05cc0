// Sizes of the decode kernel, from its macros.
#pragma once

#include <metal_stdlib>

#include "fragments.h"
#include "kv_source.h"
#include "wide_rows.h"

namespace fused_attn {

constant constexpr uint kHeadDim = FUSED_ATTN_HEAD_DIM;
constant constexpr uint kHeadDimV = FUSED_ATTN_HEAD_DIM_V;
constant constexpr uint kHeadBlocks = kHeadDim / kFragment;
constant constexpr uint kHeadBlocksV = kHeadDimV / kFragment;
static_assert(kHeadDim % kFragment == 0 && kHeadDimV % kFragment == 0, "the host pads head dims to a multiple of 8");

constant constexpr uint kRows =
    FUSED_ATTN_ROWS; ///< that share a kv head's keys; those past the last are computed in vain
constant constexpr uint kSimdgroups = FUSED_ATTN_SIMDGROUPS;
constant constexpr uint kThreads = kSimdgroups * kLanes;
constant constexpr uint kKeyTile = FUSED_ATTN_KEY_TILE; ///< keys of a simdgroup's step
constant constexpr uint kKeyBlocks = kKeyTile / kFragment;
static_assert(kKeyTile % kFragment == 0, "a key tile is made of blocks of 8 keys");

/// Up to four rows are vectors, more are 8-row tiles of matrices.
#define FUSED_ATTN_IS_VECTOR (FUSED_ATTN_ROWS <= 4)
#if FUSED_ATTN_IS_VECTOR
constant constexpr uint kRowGroups = 1;
#define FUSED_ATTN_DECODE_IS_STAGED 0
#else
constant constexpr uint kRowTiles = FUSED_ATTN_ROW_TILES;             ///< of 8 rows, of a simdgroup
constant constexpr uint kRowGroups = kRows / (kRowTiles * kFragment); ///< simdgroups that see the same keys
static_assert(kRows % (kRowTiles * kFragment) == 0, "simdgroups have equally many row tiles");
/// Where several simdgroups need the same keys, these are staged in threadgroup memory.
#define FUSED_ATTN_DECODE_IS_STAGED (FUSED_ATTN_ROWS > 8 * FUSED_ATTN_ROW_TILES)
#endif
constant constexpr uint kKeyGroups = kSimdgroups / kRowGroups; ///< simdgroups, or sets of them, that see different keys
static_assert(kSimdgroups % kRowGroups == 0, "every set of keys is seen by all rows");
/// Keys that the unit of a split has: a simdgroup's tile, or what the threadgroup stages.
constant constexpr uint kStepKeys = FUSED_ATTN_DECODE_IS_STAGED ? kKeyTile * kKeyGroups : kKeyTile;

/// What a simdgroup brings to a meeting with the others: a row, or 8 rows of 32 columns. Rows are 32 bytes further
/// apart than they are long, against bank conflicts, with banks of 4 bytes as with banks of 8.
constant constexpr uint kMeetingBlocks = 4;
constant constexpr uint kMeetingColumns = FUSED_ATTN_IS_VECTOR ? kHeadDimV : kMeetingBlocks * kFragment;
constant constexpr uint kMeetingStride = kMeetingColumns + 8;
constant constexpr uint kMeetingRows = FUSED_ATTN_IS_VECTOR ? 1 : kFragment;

} // namespace fused_attn
