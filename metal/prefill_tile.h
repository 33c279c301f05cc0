// One step of the prefill kernel: a simdgroup's rows against a tile of keys.
#pragma once

#include <metal_simdgroup>
#include <metal_stdlib>

#include "fragments.h"
#include "kv_source.h"
#include "online_softmax.h"
#include "params.h"
#include "prefill_shape.h"
#include "score_rules.h"

#if FUSED_ATTN_STAGED
#include "staged_tile.h"
#else
#include "direct_tile.h"
#endif

namespace fused_attn {
using namespace metal;

/// 32-bit registers of a lane that S and O take, and Q's fragments if they stay there. A GPU has 128 for all, and
/// addresses and the fragments of K and V under way need some.
constant constexpr uint kAccumulatorRegisters = kRowTiles * (kKeyBlocks + kHeadBlocksV) * 2;
constant constexpr uint kMaxRegisters = 104;
constexpr bool can_hold_query(uint element_bytes) {
  return kRowTiles * kHeadBlocks * element_bytes / 2 + kAccumulatorRegisters <= kMaxRegisters;
}

/// Query rows begin, ..., end - 1 of a simdgroup.
struct Rows {
  uint begin, end;

  /// The lane's row in a row tile; past the end, the last row, whose results nobody stores.
  METAL_FUNC uint of(uint row_tile, LanePlace lane) const thread {
    return min(begin + row_tile * kFragment + lane.row, end - 1);
  }
  METAL_FUNC bool has(uint row_tile, LanePlace lane) const thread {
    return begin + row_tile * kFragment + lane.row < end;
  }
};

/// The simdgroup's rows of query in device memory.
struct QueryRows {
  const device Element* lane_rows[kRowTiles];
  bool negates;

  METAL_FUNC QueryRows(const device Element* query, ulong row_stride, Rows rows, LanePlace lane, bool negates_query)
      thread {
    negates = negates_query;
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
      lane_rows[r] = query + rows.of(r, lane) * row_stride + lane.column;
    }
  }

  METAL_FUNC Fragment<Element> load(uint r, uint d) const thread {
    const Fragment<Element> pair = load_2(lane_rows[r] + d * kFragment);
    return negates ? negated(pair) : pair;
  }
};

METAL_FUNC Fragment<OperandElement> query_operand(Fragment<Element> pair) {
  return Convert<OperandElement, Element>::run(pair);
}

/// The simdgroup's rows of query as fragments. Where they come from depends on the registers that there are:
enum QueryPlace { kOperandsInRegisters, kElementsInRegisters, kDeviceMemory };

template <QueryPlace place> struct QueryFragments;
template <> struct QueryFragments<kOperandsInRegisters> { // as products take them
  Fragment<OperandElement> operands[kRowTiles][kHeadBlocks];

  METAL_FUNC QueryFragments(QueryRows rows) thread {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
#pragma clang loop unroll(full)
      for (uint d = 0; d < kHeadBlocks; ++d) {
        operands[r][d] = query_operand(rows.load(r, d));
      }
    }
  }
  METAL_FUNC Fragment<OperandElement> at(uint r, uint d) const thread { return operands[r][d]; }
};
template <> struct QueryFragments<kElementsInRegisters> { // widened in every step
  Fragment<Element> pairs[kRowTiles][kHeadBlocks];

  METAL_FUNC QueryFragments(QueryRows rows) thread {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
#pragma clang loop unroll(full)
      for (uint d = 0; d < kHeadBlocks; ++d) {
        pairs[r][d] = rows.load(r, d);
      }
    }
  }
  METAL_FUNC Fragment<OperandElement> at(uint r, uint d) const thread { return query_operand(pairs[r][d]); }
};
template <> struct QueryFragments<kDeviceMemory> { // loaded in every step
  QueryRows rows;

  METAL_FUNC QueryFragments(QueryRows query_rows) thread : rows(query_rows) {}
  METAL_FUNC Fragment<OperandElement> at(uint r, uint d) const thread { return query_operand(rows.load(r, d)); }
};
typedef QueryFragments<can_hold_query(sizeof(OperandElement)) ? kOperandsInRegisters
                       : can_hold_query(sizeof(Element))      ? kElementsInRegisters
                                                              : kDeviceMemory>
    Queries;

/// Labels of mask_tiles.metal for one query tile: [mask batches, mask heads, query tiles, key tiles].
struct MaskTiles {
  const device uchar* labels;

  METAL_FUNC MaskTiles(const constant AttentionParams& params, const thread KvSource& source, uint sequence, uint head,
                       uint query_tile, const device uchar* mask_tiles) thread {
    if (has_mask) {
      const uint mask_heads = mask_heads_of(params);
      const ulong mask_index =
          (params.mask.batch != 0 ? sequence * ulong(mask_heads) : 0) + (mask_heads > 1 ? head : 0);
      const uint query_tiles = (source.len_q + kQueryTile - 1) / kQueryTile;
      const uint key_tiles = (source.len_k + kKeyTile - 1) / kKeyTile;
      labels = mask_tiles + (mask_index * query_tiles + query_tile) * key_tiles;
    }
  }
  METAL_FUNC uchar operator[](uint key_tile) const thread { return has_mask ? labels[key_tile] : uchar(kPlainTile); }
};

/// Of each row tile and 8 keys: scores, then weights.
struct Scores {
  Fragment<float> of[kRowTiles][kKeyBlocks];
};

/// Softmax state and output of the simdgroup's rows.
struct Accumulator {
  SoftmaxRow rows[kRowTiles]; ///< of the lane's row; a lane's sum is of its own columns
  Fragment<float> out[kRowTiles][kHeadBlocksV];

  METAL_FUNC Accumulator() thread {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
#pragma clang loop unroll(full)
      for (uint d = 0; d < kHeadBlocksV; ++d) {
        out[r][d] = Fragment<float>(0.0f);
      }
    }
  }

  /// Multiplies the output of the lane's row.
  METAL_FUNC void rescale(uint r, float factor) thread {
#pragma clang loop unroll(full)
    for (uint d = 0; d < kHeadBlocksV; ++d) {
      out[r][d] *= factor;
    }
  }

  METAL_FUNC void store(device Element* target, long row_stride, device float* lse, float sink, Rows own,
                        LanePlace lane) thread {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
      SoftmaxRow row = rows[r];
      row.sum = row_sum(row.sum);
      float factor = 1.0f;
      if (has_sinks) {
        factor = row.add_sink(sink);
      }
      factor *= row.normaliser();
      if (own.has(r, lane)) {
        const uint index = own.of(r, lane);
        if (lane.column == 0) {
          lse[index] = row.log_sum_exp();
        }
        device Element* place = target + index * ulong(row_stride) + lane.column;
#pragma clang loop unroll(full)
        for (uint d = 0; d < kHeadBlocksV; ++d) {
          store_2(place + d * kFragment, Fragment<Element>(out[r][d] * factor));
        }
      }
    }
  }
};

/// S = Q K^T. Where the tile is not whole, blocks of keys that no row sees are left out: hidden, and not multiplied.
template <bool whole>
METAL_FUNC void multiply_keys(thread Scores& scores, const thread Queries& queries, const thread KvTile& kv,
                              KeyBlocks blocks) {
  KeyRows rows[kKeyBlocks];
#pragma clang loop unroll(full)
  for (uint b = 0; b < kKeyBlocks; ++b) {
    const bool is_seen = whole || blocks.has(b);
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
      scores.of[r][b] = Fragment<float>(is_seen ? 0.0f : -INFINITY);
    }
    if (is_seen) {
      rows[b] = kv.key_rows<whole>(b);
    }
  }
#pragma clang loop unroll(full)
  for (uint d = 0; d < kHeadBlocks; ++d) {
    Fragment<OperandElement> q[kRowTiles];
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
      q[r] = queries.at(r, d);
    }
#pragma clang loop unroll(full)
    for (uint b = 0; b < kKeyBlocks; ++b) {
      if ((whole || blocks.has(b)) && rows[b].is_read()) {
        const Fragment<OperandElement> k = rows[b].transposed(d);
#pragma clang loop unroll(full)
        for (uint r = 0; r < kRowTiles; ++r) {
          multiply_add(scores.of[r][b], q[r], k);
        }
      }
    }
  }
}

/// Softcap, ALiBi, masks and windows.
template <bool whole>
METAL_FUNC void apply_rules(thread Scores& scores, const thread ScoreRules& rules, Rows own, KeyBlocks blocks,
                            uint first_key, bool is_masked, LanePlace lane) {
  const KeyRange keys = {first_key, first_key + kKeyTile};
  const bool has_edge = is_masked || !rules.sees_all(own.begin, own.end, keys);
  if (!scores_are_scaled && !has_edge) {
    return;
  }
#pragma clang loop unroll(full)
  for (uint r = 0; r < kRowTiles; ++r) {
    const uint query = own.begin + r * kFragment + lane.row;
#pragma clang loop unroll(full)
    for (uint b = 0; b < kKeyBlocks; ++b) {
      if (whole || blocks.has(b)) { // the others are hidden, and shall stay so
        thread float2& pair = scores.of[r][b];
        const uint key = first_key + b * kFragment + lane.column;
        if (scores_are_scaled) {
          pair = float2(rules.changed(pair.x, query, key), rules.changed(pair.y, query, key + 1));
        }
        if (has_edge) {
          pair = float2(rules.hidden(pair.x, query, key, is_masked), rules.hidden(pair.y, query, key + 1, is_masked));
        }
      }
    }
  }
}

/// Turns scores into weights, in place, and moves the rows' maxima where they have to be.
METAL_FUNC void weigh(thread Scores& scores, thread Accumulator& accumulator, float scale) {
  float largest[kRowTiles];
  bool is_exceeded = false;
#pragma clang loop unroll(full)
  for (uint r = 0; r < kRowTiles; ++r) {
    const float2 first = scores.of[r][0];
    float most = max(first.x, first.y);
#pragma clang loop unroll(full)
    for (uint b = 1; b < kKeyBlocks; ++b) {
      const float2 pair = scores.of[r][b];
      most = max3(most, pair.x, pair.y);
    }
    largest[r] = most * scale;
    is_exceeded = is_exceeded || accumulator.rows[r].is_exceeded_by(largest[r]);
  }
  if (simd_any(is_exceeded)) {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRowTiles; ++r) {
      accumulator.rescale(r, accumulator.rows[r].raise(row_max(largest[r])));
    }
  }
#pragma clang loop unroll(full)
  for (uint r = 0; r < kRowTiles; ++r) {
    const float reduction = accumulator.rows[r].reduction;
    float sum = 0.0f;
#pragma clang loop unroll(full)
    for (uint b = 0; b < kKeyBlocks; ++b) {
      thread float2& pair = scores.of[r][b];
      pair = fast::exp2(fma(pair, float2(scale), float2(-reduction)));
      sum += pair.x + pair.y;
    }
    accumulator.rows[r].sum += sum;
  }
}

/// O += P V.
template <bool whole>
METAL_FUNC void multiply_values(thread Accumulator& accumulator, const thread Scores& weights, const thread KvTile& kv,
                                KeyBlocks blocks) {
#pragma clang loop unroll(full)
  for (uint b = 0; b < kKeyBlocks; ++b) {
    if (whole || blocks.has(b)) {
      const ValueRows rows = kv.value_rows<whole>(b);
      if (rows.is_read()) {
#pragma clang loop unroll(full)
        for (uint d = 0; d < kHeadBlocksV; ++d) {
          const Fragment<OperandElement> v = rows.straight(d);
#pragma clang loop unroll(full)
          for (uint r = 0; r < kRowTiles; ++r) {
            multiply_add(accumulator.out[r][d], weights.of[r][b], v);
          }
        }
      }
    }
  }
}

/// `whole`: each key of the tile is seen by one of the simdgroup's rows, by windows and length.
template <bool whole>
METAL_FUNC void accumulate_tile(thread Accumulator& accumulator, const thread Queries& queries, const thread KvTile& kv,
                                KeyBlocks blocks, const thread ScoreRules& rules, Rows own, uint first_key,
                                bool is_masked, LanePlace lane) {
  Scores scores;
  multiply_keys<whole>(scores, queries, kv, blocks);
  apply_rules<whole>(scores, rules, own, blocks, first_key, is_masked, lane);
  weigh(scores, accumulator, rules.exponent_scale());
  multiply_values<whole>(accumulator, scores, kv, blocks);
}

} // namespace fused_attn
