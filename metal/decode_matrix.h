// Decoding of more rows: 8-row tiles of matrices.
//
//  scores    S^T = K Q^T, since rows of K can then be loaded 16 bytes a lane (wide_rows.h): fragments of K are their
//  left
//            operand, with a key's columns in four lanes. Fragments of S^T are transposed by shuffles, three for 64
//            scores, so that a score's row, not its key, is the lane's: as in prefill, softmax is then between four
//            lanes, and the weights are the left operand of O += P V, where rows of V are loaded 16 bytes a lane, too.
//  operands  Q^T in registers, as it is in memory; S and O fp32; P fp32, multiplied by V's own type. K and V are
//  multiplied as
//            they are loaded: no conversions.
//  sharing   A simdgroup has kRowTiles row tiles. If that is all rows, it loads K and V from device memory itself, and
//  no
//            other does. Otherwise the kRowGroups simdgroups that need the same keys would all load them; then the
//            threadgroup stages a tile of kKeyGroups * kKeyTile keys, loading the next one into registers while it
//            works on this one.
//  registers a row tile takes D / 8 of queries (twice that for fp32), Dv / 4 of sums, kKeyTile / 4 of scores.
#pragma once

#include <metal_simdgroup>
#include <metal_stdlib>

#include "decode_meeting.h"
#include "decode_rows.h"
#include "decode_shape.h"
#include "decode_tile.h"
#include "fragments.h"
#include "online_softmax.h"
#include "score_rules.h"
#include "wide_rows.h"

namespace fused_attn {
using namespace metal;

/// The simdgroup's rows of query, transposed: a lane holds elements of rows lane.column and lane.column + 1.
struct MatrixQueries {
  Fragment<Element> of[kRowTiles][kHeadBlocks];

  METAL_FUNC MatrixQueries(const thread DecodeInputs& inputs, const constant AttentionParams& params,
                           const thread KvSource& source, const thread DecodeTask& task, uint first_row, bool negates,
                           LanePlace lane) thread {
    const device Element* first = inputs.query + query_base(params.query, task.sequence, task.first_head(), source);
#pragma clang loop unroll(full)
    for (uint t = 0; t < kRowTiles; ++t) {
      const device Element* rows[2];
#pragma clang loop unroll(full)
      for (uint i = 0; i < 2; ++i) {
        const uint row = first_row + t * kFragment + lane.column + i;
        rows[i] = first + task.token(row) * ulong(params.query.row) +
                  (task.head(row) - task.first_head()) * ulong(params.query.head);
      }
#pragma clang loop unroll(full)
      for (uint d = 0; d < kHeadBlocks; ++d) {
        const uint column = Pieces<kHeadBlocks>::column(d, lane.row);
        const Fragment<Element> pair = Fragment<Element>(rows[0][column], rows[1][column]);
        of[t][d] = negates ? negated(pair) : pair;
      }
    }
  }
};

/// Turns a fragment around its diagonal: rows and columns are exchanged in pairs of two, then the pairs between lanes.
METAL_FUNC float2 transposed(float2 own, ushort lane) {
  const bool is_odd = (lane & 2) != 0; // of the lane's row
  const float got = simd_shuffle_xor(is_odd ? own.x : own.y, 2);
  const float2 pair = is_odd ? float2(got, own.y) : float2(own.x, got);
  // Bits 4 and 2 of the lane number the pair of rows, bits 3 and 0 the pair of columns.
  const ushort other = (lane & 2) | (lane >> 1 & 8) | (lane << 1 & 16) | (lane >> 2 & 1) | (lane << 2 & 4);
  return float2(simd_shuffle(pair.x, other), simd_shuffle(pair.y, other));
}

/// A fragment for each row tile and 8 keys: scores, weights.
struct MatrixScores {
  Fragment<float> of[kRowTiles][kKeyBlocks];
};

/// A simdgroup's results so far.
struct MatrixSums {
  SoftmaxRow rows[kRowTiles]; ///< of the lane's row; a lane's sum is of its own keys
  Fragment<float> out[kRowTiles][kHeadBlocksV];

  METAL_FUNC MatrixSums() thread {
#pragma clang loop unroll(full)
    for (uint t = 0; t < kRowTiles; ++t) {
#pragma clang loop unroll(full)
      for (uint d = 0; d < kHeadBlocksV; ++d) {
        out[t][d] = Fragment<float>(0.0f);
      }
    }
  }
  METAL_FUNC void scale(uint t, float factor) thread {
#pragma clang loop unroll(full)
    for (uint d = 0; d < kHeadBlocksV; ++d) {
      out[t][d] *= factor;
    }
  }

  /// Turns scores into weights.
  METAL_FUNC void weigh(thread MatrixScores& scores, float scale_of_scores) thread {
    float largest[kRowTiles];
    bool is_exceeded = false;
#pragma clang loop unroll(full)
    for (uint t = 0; t < kRowTiles; ++t) {
      largest[t] = -INFINITY;
#pragma clang loop unroll(full)
      for (uint b = 0; b < kKeyBlocks; ++b) {
        const float2 pair = scores.of[t][b];
        largest[t] = max3(largest[t], pair.x, pair.y);
      }
      largest[t] *= scale_of_scores;
      is_exceeded = is_exceeded || rows[t].is_exceeded_by(largest[t]);
    }
    if (simd_any(is_exceeded)) {
#pragma clang loop unroll(full)
      for (uint t = 0; t < kRowTiles; ++t) {
        scale(t, rows[t].raise(row_max(largest[t])));
      }
    }
#pragma clang loop unroll(full)
    for (uint t = 0; t < kRowTiles; ++t) {
      const float reduction = rows[t].reduction;
      float2 sum = 0.0f;
#pragma clang loop unroll(full)
      for (uint b = 0; b < kKeyBlocks; ++b) {
        const float2 pair = fast::exp2(fma(scores.of[t][b], float2(scale_of_scores), float2(-reduction)));
        scores.of[t][b] = pair;
        sum += pair;
      }
      rows[t].sum += sum.x + sum.y;
    }
  }
};

/// Adds the product of n fragments of all the tile's keys to S^T: the piece that begins at fragment `first`.
template <uint n, typename Tile>
METAL_FUNC void multiply_key_piece(thread MatrixScores& scores, const thread Tile& tile,
                                   const thread MatrixQueries& queries, uint first) {
#pragma clang loop unroll(full)
  for (uint b = 0; b < kKeyBlocks; ++b) {
    const uint4 words = tile.template key_words<n>(b, first);
#pragma clang loop unroll(full)
    for (uint f = 0; f < n; ++f) {
      const Fragment<Element> keys = Bytes::pair(words, f);
#pragma clang loop unroll(full)
      for (uint t = 0; t < kRowTiles; ++t) {
        multiply_add(scores.of[t][b], keys, queries.of[t][first + f]);
      }
    }
  }
}

template <typename Tile>
METAL_FUNC MatrixScores matrix_scores(const thread Tile& tile, const thread MatrixQueries& queries, ushort lane) {
  typedef Pieces<kHeadBlocks> P;
  MatrixScores scores;
#pragma clang loop unroll(full)
  for (uint t = 0; t < kRowTiles; ++t) {
#pragma clang loop unroll(full)
    for (uint b = 0; b < kKeyBlocks; ++b) {
      scores.of[t][b] = Fragment<float>(0.0f);
    }
  }
#pragma clang loop unroll(full)
  for (uint d = 0; d < P::kWhole; d += kLoadPairs) {
    multiply_key_piece<kLoadPairs>(scores, tile, queries, d);
  }
  if (P::kHasPairOfBlocks) {
    multiply_key_piece<2>(scores, tile, queries, P::kWhole);
  }
  if (P::kHasSingleBlock) {
    multiply_key_piece<1>(scores, tile, queries, kHeadBlocks - 1);
  }
#pragma clang loop unroll(full)
  for (uint t = 0; t < kRowTiles; ++t) {
#pragma clang loop unroll(full)
    for (uint b = 0; b < kKeyBlocks; ++b) {
      scores.of[t][b] = transposed(scores.of[t][b], lane);
    }
  }
  return scores;
}

/// Adds a block's weights times n fragments of its values.
template <uint n, typename Tile>
METAL_FUNC void multiply_value_piece(thread MatrixSums& sums, const thread Tile& tile,
                                     const thread MatrixScores& weights, uint block, uint first) {
  const uint4 words = tile.template value_words<n>(block, first);
#pragma clang loop unroll(full)
  for (uint f = 0; f < n; ++f) {
    const Fragment<Element> values = Bytes::pair(words, f);
#pragma clang loop unroll(full)
    for (uint t = 0; t < kRowTiles; ++t) {
      multiply_add(sums.out[t][first + f], weights.of[t][block], values);
    }
  }
}

template <typename Tile>
METAL_FUNC void add_values(thread MatrixSums& sums, const thread Tile& tile, const thread MatrixScores& weights) {
  typedef Pieces<kHeadBlocksV> P;
#pragma clang loop unroll(full)
  for (uint b = 0; b < kKeyBlocks; ++b) {
#pragma clang loop unroll(full)
    for (uint d = 0; d < P::kWhole; d += kLoadPairs) {
      multiply_value_piece<kLoadPairs>(sums, tile, weights, b, d);
    }
    if (P::kHasPairOfBlocks) {
      multiply_value_piece<2>(sums, tile, weights, b, P::kWhole);
    }
    if (P::kHasSingleBlock) {
      multiply_value_piece<1>(sums, tile, weights, b, kHeadBlocksV - 1);
    }
  }
}

/// Softcap, ALiBi, masks and windows.
METAL_FUNC void apply_rules(thread MatrixScores& scores, ScoreRules rules,
                            const thread RowRules (&row_rules)[kRowTiles], uint first_key, bool has_edge,
                            LanePlace lane) {
  if (!scores_are_scaled && !has_edge) {
    return;
  }
#pragma clang loop unroll(full)
  for (uint t = 0; t < kRowTiles; ++t) {
    const ScoreRules own = row_rules[t].of(rules);
    const uint token = row_rules[t].token;
#pragma clang loop unroll(full)
    for (uint b = 0; b < kKeyBlocks; ++b) {
      const uint key = first_key + b * kFragment + lane.column;
      float2 pair = scores.of[t][b];
      if (scores_are_scaled) {
        pair = float2(own.changed(pair.x, token, key), own.changed(pair.y, token, key + 1));
      }
      if (has_edge) {
        pair = float2(own.hidden(pair.x, token, key, has_mask), own.hidden(pair.y, token, key + 1, has_mask));
      }
      scores.of[t][b] = pair;
    }
  }
}

/// A simdgroup's rows, and what it knows of them.
struct MatrixWork {
  ScoreRules rules;
  RowRules row_rules[kRowTiles];
  MatrixQueries queries;
  MatrixSums sums;
  uint tokens, lane_index;
  LanePlace lane;

  METAL_FUNC MatrixWork(const thread DecodeInputs& inputs, const constant AttentionParams& params,
                        const thread KvSource& source, const thread DecodeTask& task, ScoreRules shared_rules,
                        uint first_row, uint lane_in_simdgroup) thread
      : rules(shared_rules),
        queries(inputs, params, source, task, first_row, shared_rules.negates_query, lane_place(lane_in_simdgroup)) {
    tokens = task.tokens();
    lane_index = lane_in_simdgroup;
    lane = lane_place(lane_in_simdgroup);
#pragma clang loop unroll(full)
    for (uint t = 0; t < kRowTiles; ++t) {
      row_rules[t] = row_rules_of(params, source, task, inputs, first_row + t * kFragment + lane.row);
    }
  }

  template <typename Tile> METAL_FUNC void add(const thread Tile& tile, uint first_key) thread {
    const bool has_edge = has_mask || !rules.sees_all(0, tokens, {first_key, first_key + kKeyTile});
    MatrixScores scores = matrix_scores(tile, queries, lane_index);
    apply_rules(scores, rules, row_rules, first_key, has_edge, lane);
    sums.weigh(scores, rules.exponent_scale());
    add_values(sums, tile, scores);
  }
};

/// Copies n fragments of the simdgroup's rows to where it meets the others.
template <uint n>
METAL_FUNC void tell_piece(thread MatrixSums& sums, threadgroup float* row, uint t, uint first, float factor,
                           LanePlace lane) {
  float2 columns[n];
#pragma clang loop unroll(full)
  for (uint f = 0; f < n; ++f) {
    columns[f] = sums.out[t][first + f] * factor;
  }
  store_pairs(row + first % kMeetingBlocks * kFragment + lane.column * n, columns, lane.column / 2);
}

/// Fragments first, ..., first + kMeetingBlocks - 1, as far as there are any.
METAL_FUNC void tell_columns(thread MatrixSums& sums, threadgroup float* row, uint t, uint first, float factor,
                             LanePlace lane) {
  typedef Pieces<kHeadBlocksV> P;
#pragma clang loop unroll(full)
  for (uint d = 0; d < kMeetingBlocks; d += kLoadPairs) {
    if (first + d < P::kWhole) {
      tell_piece<kLoadPairs>(sums, row, t, first + d, factor, lane);
    }
  }
  if (first + kMeetingBlocks > P::kWhole) {
    if (P::kHasPairOfBlocks) {
      tell_piece<2>(sums, row, t, P::kWhole, factor, lane);
    }
    if (P::kHasSingleBlock) {
      tell_piece<1>(sums, row, t, kHeadBlocksV - 1, factor, lane);
    }
  }
}

/// Joins the results of the simdgroups that saw different keys and stores them, 8 rows of 32 columns at a time.
METAL_FUNC void store(thread MatrixSums& sums, const thread DecodeInputs& inputs, const thread DecodeTask& task,
                      const thread DecodeOutput& output, Meeting meeting, uint simdgroup, uint lane_index) {
  const LanePlace lane = lane_place(lane_index);
  const uint row_group = simdgroup % kRowGroups;
  const uint key_group = simdgroup / kRowGroups;
  const uint first_row = row_group * kRowTiles * kFragment;
#pragma clang loop unroll(full)
  for (uint t = 0; t < kRowTiles; ++t) {
    sums.rows[t].sum = row_sum(sums.rows[t].sum);
    if (lane.column == 0) {
      meeting.tell(key_group, first_row + t * kFragment + lane.row, sums.rows[t]);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(full)
  for (uint t = 0; t < kRowTiles; ++t) {
    const uint tile_row = first_row + t * kFragment;
    const uint row = tile_row + lane.row;
    const float sink = has_sinks && is_whole ? to_base_2(inputs.sinks[task.head(row)]) : -INFINITY;
    const float factor = join(sums.rows[t], meeting.whole(row), sink);
    if (key_group == 0 && lane.column == 0 && output.has(row)) {
      output.store_lse(row, sums.rows[t]);
    }
#pragma clang loop unroll(full)
    for (uint d = 0; d < kHeadBlocksV; d += kMeetingBlocks) {
      if (t > 0 || d > 0) {
        threadgroup_barrier(mem_flags::mem_threadgroup); // the columns before have been read
      }
      tell_columns(sums, meeting.own_columns(simdgroup) + lane.row * kMeetingStride, t, d, factor, lane);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      const uint columns = min(kMeetingBlocks, kHeadBlocksV - d) * kFragment;
      for (uint i = key_group * kLanes + lane_index; i < kFragment * columns; i += kKeyGroups * kLanes) {
        const uint tile_row_index = i / columns;
        if (output.has(tile_row + tile_row_index)) {
          output.store(tile_row + tile_row_index, d * kFragment + i % columns,
                       meeting.total(row_group, tile_row_index, i % columns));
        }
      }
    }
  }
}

/// One simdgroup's work.
METAL_FUNC void decode_rows(const thread DecodeInputs& inputs, const constant AttentionParams& params,
                            const thread KvSource& source, const thread DecodeTask& task,
                            const thread DecodeOutput& output, threadgroup void* memory, uint simdgroup, uint lane) {
  const uint key_group = simdgroup / kRowGroups;
  const uint first_row = simdgroup % kRowGroups * kRowTiles * kFragment;
  const ScoreRules rules(params, source, task.sequence, task.first_head(), inputs.mask, inputs.alibi_slopes);
  const KeyRange visible = rules.visible_keys(0, task.tokens());
  const StepRange steps = steps_of_split(params, visible, task.split);
  MatrixWork work(inputs, params, source, task, rules, first_row, lane);

#if FUSED_ATTN_DECODE_IS_STAGED
  Stager stager(inputs.key, inputs.value, visible, simdgroup * kLanes + lane);
  if (steps.begin < steps.end) {
    stager.load(source, steps.begin * kStepKeys);
  }
  for (uint step = steps.begin; step < steps.end; ++step) {
    threadgroup_barrier(mem_flags::mem_threadgroup); // the tile before has been read
    stager.store(memory);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (step + 1 < steps.end) {
      stager.load(source, (step + 1) * kStepKeys);
    }
    const uint first_key = step * kStepKeys + key_group * kKeyTile;
    if (first_key < visible.end && first_key + kKeyTile > visible.begin) {
      work.add(StagedTile(memory, key_group, work.lane), first_key);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup); // the meeting takes the place of the tiles
#else
  for (uint step = steps.begin + key_group; step < steps.end; step += kKeyGroups) {
    const uint first_key = step * kStepKeys;
    if (first_key >= visible.begin && first_key + kKeyTile <= visible.end) {
      work.add(DirectTile<true>(inputs.key, inputs.value, source, first_key, visible, work.lane), first_key);
    } else {
      work.add(DirectTile<false>(inputs.key, inputs.value, source, first_key, visible, work.lane), first_key);
    }
  }
#endif
  store(work.sums, inputs, task, output, Meeting(memory), simdgroup, lane);
}

} // namespace fused_attn
