// Attention of few queries over many keys: all rows that share a kv head's keys, up to 32, read each of them once.
//
//  grid         (splits, kv heads, sequences). A split is a part of the keys that the sequence's rows can see between
//  them;
//               parts are equal whatever the length, so a grid made for the longest sequence serves shorter ones as
//               well. Splits without keys read none, and write out 0, lse -infinity.
//  rows         FUSED_ATTN_ROWS >= query tokens * query heads of a kv head; row = token * heads + head.
//  threadgroup  kSimdgroups simdgroups. Each takes tiles of kKeyTile keys of the split in turn, with all rows
//               (kKeyGroups of them), or with its row tiles (kRowGroups simdgroups then have the same keys).
//  K and V      from device memory once for a kv head, in 16-byte loads. Read by the simdgroup that needs them, without
//               barriers; if several need them, staged: kStepKeys * (D + Dv + 16 bytes) in threadgroup memory, two
//               barriers a step, the next step's loads under way during this one.
//  forms        1 to 4 rows: vectors, see decode_vector.h. 8, 16, 24 or 32: matrices, see decode_matrix.h.
//  end          Simdgroups that saw different keys meet in threadgroup memory, see decode_meeting.h: two barriers for
//  each row
//               (vectors), or 8 rows of 32 columns (matrices); its memory is that of the tiles.
//  results      out and lse; or, of several splits (kIsSplitConstant), the same over the split's keys, in fp32 and
//  without
//               sinks: [splits, rows of the call, Dv] and [splits, rows of the call], merged by merge_splits
//               (reduce.metal).
//  bytes        threadgroup memory: the tiles, or 4 * kSimdgroups * (8 * 36 or Dv + 4) + 8 * kKeyGroups * kRows.
#include <metal_simdgroup>
#include <metal_stdlib>

#include "decode_meeting.h"
#include "decode_rows.h"
#include "decode_shape.h"
#include "kv_source.h"
#include "params.h"
#include "score_rules.h"
#if FUSED_ATTN_IS_VECTOR
#include "decode_vector.h"
#else
#include "decode_matrix.h"
#endif

using namespace metal;
using namespace fused_attn;

#if FUSED_ATTN_DECODE_IS_STAGED
constant constexpr uint kTileBytes = kStagedBytes;
#else
constant constexpr uint kTileBytes = 0;
#endif
constant constexpr uint kMeetingBytes = Meeting::kFloats * sizeof(float);
constant constexpr uint kDecodeBytes = (kTileBytes > kMeetingBytes ? kTileBytes : kMeetingBytes) / 16 * 16 + 16;
static_assert(kDecodeBytes <= 32768, "tiles must fit threadgroup memory: take fewer keys or simdgroups");

[[max_total_threads_per_threadgroup(kThreads)]] kernel void
decode(const device Element* query [[buffer(kQueryBuffer)]], const device Element* key [[buffer(kKeyBuffer)]],
       const device Element* value [[buffer(kValueBuffer)]],
       device Element* out [[buffer(kOutBuffer), function_constant(is_whole)]],
       device float* lse [[buffer(kLseBuffer), function_constant(is_whole)]],
       device float* partial_out [[buffer(kPartialOutBuffer), function_constant(is_split)]],
       device float* partial_lse [[buffer(kPartialLseBuffer), function_constant(is_split)]],
       const constant AttentionParams& params [[buffer(kParamsBuffer)]],
       FUSED_ATTN_SOURCE_PARAMETERS const device uchar* mask [[buffer(kMaskBuffer), function_constant(has_mask)]],
       const device float* alibi_slopes [[buffer(kAlibiSlopesBuffer), function_constant(has_alibi)]],
       const device float* sinks [[buffer(kSinksBuffer), function_constant(has_sinks)]],
       uint3 group [[threadgroup_position_in_grid]], uint3 groups [[threadgroups_per_grid]],
       uint simdgroup [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup uint4 memory[kDecodeBytes / sizeof(uint4)];
  const KvSource source(params, group.z, group.y FUSED_ATTN_SOURCE_ARGUMENTS);
  const DecodeTask task(params, source, group);
  if (task.rows == 0) {
    return;
  }
  const DecodeInputs inputs = {query, key, value, mask, alibi_slopes, sinks};
  const DecodeOutput output(params, source, task, groups.z, out, lse, partial_out, partial_lse);
  decode_rows(inputs, params, source, task, output, memory, simdgroup, lane);
}
