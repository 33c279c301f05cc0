// Labels of a dense mask's tiles, for the prefill kernel: which to skip, and which need no look at the mask.
//
//  grid         (key tiles, query tiles, mask batches * mask heads): one threadgroup a tile. A mask that is broadcast
//               over batches or heads is labelled once.
//  tile         FUSED_ATTN_QUERY_TILE rows and FUSED_ATTN_KEY_TILE keys, those of the prefill kernel's step: nothing
//               else of it matters here, so that few of these serve all head dims and types.
//  threadgroup  kLabelThreads threads; neighbours look at neighbours of a row. Rows or columns along which the mask is
//               broadcast are looked at once.
//  label        kSkipTile: no entry lets a query see a key. kPlainTile: no entry changes a score (all True, or all 0).
//               kMixedTile: anything else.
//  barriers     one, for the simdgroups' votes
//  bytes        4 for each simdgroup of threadgroup memory
#include <metal_simdgroup>
#include <metal_stdlib>

#include "grid.h"
#include "mask.h"
#include "params.h"

using namespace metal;
using namespace fused_attn;

namespace {

constant constexpr uint kQueryTile = FUSED_ATTN_QUERY_TILE;
constant constexpr uint kKeyTile = FUSED_ATTN_KEY_TILE;
constant constexpr uint kSimdgroups = kLabelThreads / 32;

/// What a thread, a simdgroup or a threadgroup found.
enum Found : uint { kVisibleEntry = 1, kChangingEntry = 2 };

} // namespace

[[max_total_threads_per_threadgroup(kLabelThreads)]] kernel void
label_mask_tiles(const device uchar* mask [[buffer(kMaskBuffer)]], device uchar* labels [[buffer(kMaskTilesBuffer)]],
                 const constant AttentionParams& params [[buffer(kParamsBuffer)]],
                 uint3 group [[threadgroup_position_in_grid]], uint3 groups [[threadgroups_per_grid]],
                 uint thread_index [[thread_index_in_threadgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                 uint lane_index [[thread_index_in_simdgroup]]) {
  const uint3 place = first_threadgroup(params) + group;
  const uint mask_heads = mask_heads_of(params);
  const device uchar* own_mask = mask + mask_offset(params, place.z / mask_heads, place.z % mask_heads);
  const uint first_query = place.y * kQueryTile;
  const uint first_key = place.x * kKeyTile;
  const uint rows = params.mask.row == 0 ? 1 : min(kQueryTile, params.len_q - first_query);
  const uint columns = params.mask_column == 0 ? 1 : min(kKeyTile, params.len_k - first_key);

  uint found = 0;
  for (uint i = thread_index; i < kQueryTile * kKeyTile; i += kLabelThreads) {
    const uint row = i / kKeyTile;
    const uint column = i % kKeyTile;
    if (row < rows && column < columns) {
      const float entry = mask_entry(own_mask, (first_query + row) * ulong(params.mask.row) +
                                                   (first_key + column) * ulong(params.mask_column));
      found |= entry == -INFINITY ? uint(kChangingEntry)
               : entry == 0.0f    ? uint(kVisibleEntry)
                                  : uint(kVisibleEntry | kChangingEntry);
    }
  }

  threadgroup uint found_by[kSimdgroups];
  found = simd_or(found);
  if (lane_index == 0) {
    found_by[simdgroup] = found;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (thread_index == 0) {
    for (uint other = 1; other < kSimdgroups; ++other) {
      found |= found_by[other];
    }
    MaskTileLabel label = kMixedTile;
    if ((found & kVisibleEntry) == 0) {
      label = kSkipTile;
    } else if ((found & kChangingEntry) == 0) {
      label = kPlainTile;
    }
    const uint query_tiles = is_part ? (params.len_q + kQueryTile - 1) / kQueryTile : groups.y;
    const uint key_tiles = is_part ? (params.len_k + kKeyTile - 1) / kKeyTile : groups.x;
    labels[(place.z * ulong(query_tiles) + place.y) * key_tiles + place.x] = label;
  }
}
