// Attention of many queries (FlashAttention-2): scores and softmax in registers, output accumulated in fp32.
//
//  grid         (query tiles of the longest sequence, query heads, sequences); tiles past a sequence's end leave early.
//               Where windows limit keys, the last query tiles come first: under a causal mask they are the longest,
//               and a long one that starts last would leave the other cores idle. Tiles of a head are neighbours in the
//               grid, and so are heads that share a kv head: what runs at the same time reads the same keys, from the
//               cache. A long grid is dispatched in parts.
//  threadgroup  kSimdgroups simdgroups. Each owns kRowTiles * 8 query rows, for all keys and the whole head dim, so
//               that softmax never leaves the simdgroup.
//  step         kKeyTile keys. S = Q K^T (8x8 fragments, scores of a row in four lanes), weights P in S's registers,
//               O += P V. Blocks of 8 keys that no row of the simdgroup sees are left out, tiles that no row of the
//               threadgroup sees are never visited; masks are evaluated only in tiles that an edge goes through.
//  operands     S, P and O fp32 in registers; Q in registers if they suffice (kMaxRegisters), else from device memory
//               in every step. Q K^T multiplies 16-bit types as such, P V fp32 by V's own type: no operand is
//               converted and no weight rounded.
//  K and V      FUSED_ATTN_STAGED 1: tiles of both in threadgroup memory, zeros where there are no rows, rows padded
//               so that the eight of a fragment are in different banks. Two barriers a step.
//               FUSED_ATTN_STAGED 0: fragments from device memory. No barrier: simdgroups run on their own and meet in
//               the cache. For GPUs that cache device memory like threadgroup memory (M3 and later).
//  bytes        staged: kKeyTile * (D + Dv) * sizeof(OperandElement) of threadgroup memory, and at most 32 * kKeyTile
//               of padding; direct: 0
//
// See fragments.h for who holds what of a fragment, online_softmax.h for why rescaling is rare.
#include <metal_simdgroup>
#include <metal_stdlib>

#include "fragments.h"
#include "grid.h"
#include "kv_source.h"
#include "online_softmax.h"
#include "params.h"
#include "prefill_tile.h"
#include "score_rules.h"

using namespace metal;
using namespace fused_attn;

[[max_total_threads_per_threadgroup(kSimdgroups * kLanes)]] kernel void
prefill(const device Element* query [[buffer(kQueryBuffer)]], const device Element* key [[buffer(kKeyBuffer)]],
        const device Element* value [[buffer(kValueBuffer)]], device Element* out [[buffer(kOutBuffer)]],
        device float* lse [[buffer(kLseBuffer)]], const constant AttentionParams& params [[buffer(kParamsBuffer)]],
        FUSED_ATTN_SOURCE_PARAMETERS const device uchar* mask [[buffer(kMaskBuffer), function_constant(has_mask)]],
        const device uchar* mask_tiles [[buffer(kMaskTilesBuffer), function_constant(has_mask)]],
        const device float* alibi_slopes [[buffer(kAlibiSlopesBuffer), function_constant(has_alibi)]],
        const device float* sinks [[buffer(kSinksBuffer), function_constant(has_sinks)]],
        uint3 group [[threadgroup_position_in_grid]], uint3 groups [[threadgroups_per_grid]],
        uint thread_index [[thread_index_in_threadgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
        uint lane_index [[thread_index_in_simdgroup]]) {
  const uint3 first = first_threadgroup(params);
  const uint head = first.y + group.y;
  const uint sequence = first.z + group.z;
  const KvSource source(params, sequence, head / params.queries_per_kv_head FUSED_ATTN_SOURCE_ARGUMENTS);
  const uint query_tile = first.x + (limits_keys ? groups.x - 1 - group.x : group.x);
  const uint tile_begin = query_tile * kQueryTile;
  if (tile_begin >= source.len_q) {
    return;
  }
  const uint tile_end = min(tile_begin + kQueryTile, source.len_q);
  const ScoreRules rules(params, source, sequence, head, mask, alibi_slopes);
  const LanePlace lane = lane_place(lane_index);

  // A simdgroup without a row of its own computes with the last one, and stores nothing.
  Rows rows;
  rows.begin = min(tile_begin + simdgroup * kSimdgroupRows, tile_end - 1);
  rows.end = min(rows.begin + kSimdgroupRows, tile_end);
  const bool has_rows = tile_begin + simdgroup * kSimdgroupRows < tile_end;
  const KeyRange own_keys = rules.visible_keys(rows.begin, rows.end);
  const KeyRange tile_keys = FUSED_ATTN_STAGED ? rules.visible_keys(tile_begin, tile_end) : own_keys;

  const Queries queries(QueryRows(query + query_base(params.query, sequence, head, source), params.query.row, rows,
                                  lane, rules.negates_query));
  Accumulator accumulator;
  const MaskTiles labels(params, source, sequence, head, query_tile, mask_tiles);

#if FUSED_ATTN_STAGED
  threadgroup uint4 staged[kStagedBytes / sizeof(uint4)];
  threadgroup OperandElement* keys = reinterpret_cast<threadgroup OperandElement*>(staged);
  threadgroup OperandElement* values = keys + kKeyTile * kKeyStride;
#endif

  for (uint tile = tile_keys.begin / kKeyTile; tile * kKeyTile < tile_keys.end; ++tile) {
    const uchar label = labels[tile];
    if (label == kSkipTile) {
      continue;
    }
    const uint first_key = tile * kKeyTile;
#if FUSED_ATTN_STAGED
    threadgroup_barrier(mem_flags::mem_threadgroup); // until here, others may read the tile before
    stage_tile(keys, values, key, value, source, first_key, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const KvTile kv(keys, values, lane);
#else
    const KvTile kv(key, value, source, first_key, lane);
#endif
    const bool is_masked = label == kMixedTile;
    if (has_rows && first_key >= own_keys.begin && first_key + kKeyTile <= own_keys.end) {
      accumulate_tile<true>(accumulator, queries, kv, {0, kKeyBlocks}, rules, rows, first_key, is_masked, lane);
      continue;
    }
    const KeyBlocks blocks = blocks_with(own_keys, first_key);
    if (has_rows && !blocks.is_empty()) { // else it was staged for the other simdgroups
      accumulate_tile<false>(accumulator, queries, kv, blocks, rules, rows, first_key, is_masked, lane);
    }
  }

  if (has_rows) {
    const float sink = has_sinks ? to_base_2(sinks[head]) : -INFINITY;
    accumulator.store(out + query_base(params.out, sequence, head, source), params.out.row,
                      lse + lse_base(params, sequence, head, source), sink, rows, lane);
  }
}
