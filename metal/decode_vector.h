// Decoding of one to four rows: keys and values as vectors.
//
//  keys      A row of K is loaded by kKeyLanes neighbouring lanes, 16 bytes each, so a load of the simdgroup brings
//  several
//            rows. Lanes multiply what they hold by all queries. Their products are added up while they are dealt out,
//            in a tree: two lanes that hold halves of two keys' scores exchange one number each, and then hold a whole
//            score each. That takes n - 1 shuffles for n keys a lane, where reductions take n log n, and in the end
//            every lane has the score of another key (with 32 keys a tile; with fewer, several lanes have the same).
//  softmax   one lane, one key.
//  values    The other way round: a lane loads 16 bytes of a row of V, gets the row's weight by a shuffle, and
//  accumulates
//            the columns that it holds; lanes with the same columns are added up once, in the end.
//  registers kRows times 8 of queries and 8 of sums (half of that for fp32 up to a head dim of 128).
#pragma once

#include <metal_stdlib>

#include "decode_meeting.h"
#include "decode_rows.h"
#include "decode_shape.h"
#include "lane_vectors.h"
#include "online_softmax.h"
#include "score_rules.h"
#include "wide_rows.h"

namespace fused_attn {
using namespace metal;

/// A lane's part of all queries.
struct VectorQueries {
  Wide parts[kRows][KeyLayout::kVectors];
};

/// A number for each row.
struct RowNumbers {
  float of[kRows];
};

/// A simdgroup's tile of keys.
struct VectorTile {
  typedef TileRows<kKeyTile, kKeysAtOnce> Rows;
  const device Element *keys, *values;
  Rows rows;
  KeyRange visible; ///< outside of it, nothing is read
  uint lane;

  METAL_FUNC VectorTile(const device Element* key, const device Element* value, const thread KvSource& source,
                        uint first_key, KeyRange visible_keys, uint lane_index) thread : rows(source, first_key) {
    keys = key;
    values = value;
    visible = visible_keys;
    lane = lane_index;
  }
  /// Whether some row may see the tile's key. A whole tile has no others, and no run that lacks its block: no load of
  /// it waits for a branch. In other tiles a load has one branch, not one in another: those took as many registers
  /// again.
  template <bool whole> METAL_FUNC bool reads(uint key) const thread {
    return whole || (rows.first_key + key >= visible.begin && rows.first_key + key < visible.end);
  }
  template <bool whole> METAL_FUNC Wide key_part(uint step, uint vector) const thread {
    const uint key = KeyLayout::key(step, lane);
    bool is_read = reads<whole>(key) && KeyLayout::has(vector, lane);
    RowPlace place = {};
    if (Rows::has_runs() || is_read) {
      place = rows.place(key, KeyLayout::first_key(step));
      is_read = is_read && ((whole && Rows::has_runs()) || place.exists);
    }
    if (is_read) {
      return Wide::load(keys + KeyLayout::column(vector, lane) + place.key);
    }
    return Wide::zero();
  }
  template <bool whole> METAL_FUNC Wide value_part(uint step, uint vector) const thread {
    const uint key = ValueLayout::key(step, lane);
    bool is_read = reads<whole>(key) && ValueLayout::has(vector, lane);
    RowPlace place = {};
    if (Rows::has_runs() || is_read) {
      place = rows.place(key, ValueLayout::first_key(step));
      is_read = is_read && ((whole && Rows::has_runs()) || place.exists);
    }
    if (is_read) {
      return Wide::load(values + ValueLayout::column(vector, lane) + place.value);
    }
    return Wide::zero();
  }
};

/// The scores of 2^level keys a lane, those of step, ..., step + 2^level - 1, dealt out among 2^level lanes.
template <uint level, bool whole> struct ScoreTree {
  METAL_FUNC static RowNumbers scores(const thread VectorTile& tile, const thread VectorQueries& queries, uint step) {
    constexpr ushort half_way = 1 << (level - 1);
    const RowNumbers low = ScoreTree<level - 1, whole>::scores(tile, queries, step);
    const RowNumbers high = ScoreTree<level - 1, whole>::scores(tile, queries, step + half_way);
    const bool keeps_high = (tile.lane & half_way) != 0;
    RowNumbers kept;
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      const float sent = keeps_high ? low.of[r] : high.of[r];
      kept.of[r] = (keeps_high ? high.of[r] : low.of[r]) + simd_shuffle_xor(sent, half_way);
    }
    return kept;
  }
};
template <bool whole> struct ScoreTree<0, whole> {
  METAL_FUNC static RowNumbers scores(const thread VectorTile& tile, const thread VectorQueries& queries, uint step) {
    float4 sums[kRows];
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      sums[r] = 0.0f;
    }
#pragma clang loop unroll(full)
    for (uint v = 0; v < KeyLayout::kVectors; ++v) {
      const Wide part = tile.key_part<whole>(step, v);
#pragma clang loop unroll(full)
      for (uint r = 0; r < kRows; ++r) {
        sums[r] = multiplied(queries.parts[r][v], part, sums[r]);
      }
    }
    RowNumbers products;
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      products.of[r] = (sums[r].x + sums[r].y) + (sums[r].z + sums[r].w);
    }
    return products;
  }
};

/// The scores of the tile's keys: of key KeyLayout::key_of_score(lane).
template <bool whole>
METAL_FUNC RowNumbers vector_scores(const thread VectorTile& tile, const thread VectorQueries& queries) {
  RowNumbers scores = ScoreTree<KeyLayout::kLevels, whole>::scores(tile, queries, 0);
#pragma clang loop unroll(full)
  for (uint mask = KeyLayout::kSteps; mask < KeyLayout::kKeyLanes; mask *= 2) {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      scores.of[r] += simd_shuffle_xor(scores.of[r], ushort(mask));
    }
  }
  return scores;
}

/// A simdgroup's results so far.
struct VectorSums {
  SoftmaxRow rows[kRows]; ///< a lane's sum is of its own keys
  Wide parts[kRows][ValueLayout::kVectors];

  METAL_FUNC VectorSums() thread {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
#pragma clang loop unroll(full)
      for (uint v = 0; v < ValueLayout::kVectors; ++v) {
        parts[r][v] = Wide::zero();
      }
    }
  }
  METAL_FUNC void scale(uint r, float factor) thread {
#pragma clang loop unroll(full)
    for (uint v = 0; v < ValueLayout::kVectors; ++v) {
      parts[r][v].scale(factor);
    }
  }

  /// Turns scores into weights.
  METAL_FUNC RowNumbers weigh(RowNumbers scores, float scale_of_scores) thread {
    bool is_exceeded = false;
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      is_exceeded = is_exceeded || rows[r].is_exceeded_by(scores.of[r] * scale_of_scores);
    }
    if (simd_any(is_exceeded)) {
#pragma clang loop unroll(full)
      for (uint r = 0; r < kRows; ++r) {
        scale(r, rows[r].raise(simd_max(scores.of[r]) * scale_of_scores));
      }
    }
    RowNumbers weights;
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      weights.of[r] = fast::exp2(fma(scores.of[r], scale_of_scores, -rows[r].reduction));
      rows[r].sum += weights.of[r];
    }
    return weights;
  }

  template <bool whole> METAL_FUNC void add_values(const thread VectorTile& tile, RowNumbers weights) thread {
#pragma clang loop unroll(full)
    for (uint step = 0; step < ValueLayout::kSteps; ++step) {
      const ushort holder = KeyLayout::lane_of_score(ValueLayout::key(step, tile.lane));
      RowNumbers own;
#pragma clang loop unroll(full)
      for (uint r = 0; r < kRows; ++r) {
        own.of[r] = simd_shuffle(weights.of[r], holder);
      }
#pragma clang loop unroll(full)
      for (uint v = 0; v < ValueLayout::kVectors; ++v) {
        const Wide part = tile.value_part<whole>(step, v);
#pragma clang loop unroll(full)
        for (uint r = 0; r < kRows; ++r) {
          parts[r][v].add(part, own.of[r]);
        }
      }
    }
  }

  /// Brings lanes together, so that each has the sums over all keys of the simdgroup.
  METAL_FUNC void gather() thread {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      rows[r].sum = simd_sum(rows[r].sum) * (1.0f / kScoreCopies);
#pragma clang loop unroll(full)
      for (ushort mask = ValueLayout::kKeyLanes; mask < kLanes; mask *= 2) {
#pragma clang loop unroll(full)
        for (uint v = 0; v < ValueLayout::kVectors; ++v) {
          parts[r][v].add_from_lane(mask);
        }
      }
    }
  }
};

template <bool whole>
METAL_FUNC void add_tile(thread VectorSums& sums, const thread VectorTile& tile, const thread VectorQueries& queries,
                         ScoreRules rules, const thread RowRules (&row_rules)[kRows], bool has_edge) {
  RowNumbers scores = vector_scores<whole>(tile, queries);
  const uint key = tile.rows.first_key + KeyLayout::key_of_score(tile.lane);
#pragma clang loop unroll(full)
  for (uint r = 0; r < kRows; ++r) {
    const ScoreRules own = row_rules[r].of(rules);
    if (scores_are_scaled) {
      scores.of[r] = own.changed(scores.of[r], row_rules[r].token, key);
    }
    if (has_edge) {
      scores.of[r] = own.hidden(scores.of[r], row_rules[r].token, key, has_mask);
    }
  }
  sums.add_values<whole>(tile, sums.weigh(scores, rules.exponent_scale()));
}

/// The simdgroup's queries.
METAL_FUNC VectorQueries load_queries(const thread DecodeInputs& inputs, const constant AttentionParams& params,
                                      const thread KvSource& source, const thread DecodeTask& task, bool negates,
                                      uint lane) {
  VectorQueries queries;
  const device Element* first = inputs.query + query_base(params.query, task.sequence, task.first_head(), source);
#pragma clang loop unroll(full)
  for (uint r = 0; r < kRows; ++r) {
    const device Element* row =
        first + task.token(r) * ulong(params.query.row) + (task.head(r) - task.first_head()) * ulong(params.query.head);
#pragma clang loop unroll(full)
    for (uint v = 0; v < KeyLayout::kVectors; ++v) {
#pragma clang loop unroll(full)
      for (uint i = 0; i < kLoadQuads; ++i) {
        float4 quad = 0.0f;
        if (KeyLayout::has(v, lane)) {
          quad = widened(load_4(row + KeyLayout::column(v, lane) + 4 * i));
        }
        queries.parts[r][v].quads[i] = negates ? -quad : quad;
      }
    }
  }
  return queries;
}

/// Joins the simdgroups' results and stores them, a row at a time.
METAL_FUNC void store(thread VectorSums& sums, const thread DecodeInputs& inputs, const thread DecodeTask& task,
                      const thread DecodeOutput& output, Meeting meeting, uint simdgroup, uint lane) {
  const uint thread_index = simdgroup * kLanes + lane;
  sums.gather();
  if (lane == 0) {
#pragma clang loop unroll(full)
    for (uint r = 0; r < kRows; ++r) {
      meeting.tell(simdgroup, r, sums.rows[r]);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(full)
  for (uint r = 0; r < kRows; ++r) {
    const float sink = has_sinks && is_whole ? to_base_2(inputs.sinks[task.head(r)]) : -INFINITY;
    sums.scale(r, join(sums.rows[r], meeting.whole(r), sink));
    if (r > 0) {
      threadgroup_barrier(mem_flags::mem_threadgroup); // the row before has been read
    }
    if (lane < ValueLayout::kKeyLanes) {
#pragma clang loop unroll(full)
      for (uint v = 0; v < ValueLayout::kVectors; ++v) {
        if (ValueLayout::has(v, lane)) {
          sums.parts[r][v].store(meeting.own_columns(simdgroup) + ValueLayout::column(v, lane), lane);
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (output.has(r)) {
      for (uint column = thread_index; column < kHeadDimV; column += kThreads) {
        output.store(r, column, meeting.total(0, 0, column));
      }
      if (thread_index == 0) {
        output.store_lse(r, sums.rows[r]);
      }
    }
  }
}

/// One simdgroup's work.
METAL_FUNC void decode_rows(const thread DecodeInputs& inputs, const constant AttentionParams& params,
                            const thread KvSource& source, const thread DecodeTask& task,
                            const thread DecodeOutput& output, threadgroup void* memory, uint simdgroup, uint lane) {
  RowRules row_rules[kRows];
#pragma clang loop unroll(full)
  for (uint r = 0; r < kRows; ++r) {
    row_rules[r] = row_rules_of(params, source, task, inputs, r);
  }
  const ScoreRules rules(params, source, task.sequence, task.first_head(), inputs.mask, inputs.alibi_slopes);
  const VectorQueries queries = load_queries(inputs, params, source, task, rules.negates_query, lane);
  const KeyRange visible = rules.visible_keys(0, task.tokens());
  const StepRange tiles = steps_of_split(params, visible, task.split);
  VectorSums sums;
  for (uint index = tiles.begin + simdgroup; index < tiles.end; index += kKeyGroups) {
    const KeyRange keys = {index * kKeyTile, (index + 1) * kKeyTile};
    const VectorTile tile(inputs.key, inputs.value, source, keys.begin, visible, lane);
    const bool has_edge = has_mask || !rules.sees_all(0, task.tokens(), keys);
    if (keys.begin >= visible.begin && keys.end <= visible.end && !tile.rows.lacks_a_run()) {
      add_tile<true>(sums, tile, queries, rules, row_rules, has_edge);
    } else {
      add_tile<false>(sums, tile, queries, rules, row_rules, has_edge);
    }
  }
  store(sums, inputs, task, output, Meeting(memory), simdgroup, lane);
}

} // namespace fused_attn
