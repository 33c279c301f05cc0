// The rows that share a kv head's keys and values in decoding, which part of the keys a threadgroup takes, and where
// results go.
//
// Row r is query token r / queries_per_kv_head, head r % queries_per_kv_head of the kv head's queries: the heads of a
// token are neighbours, as they are in memory when a token's heads are.
#pragma once

#include <metal_stdlib>

#include "decode_shape.h"
#include "function_constants.h"
#include "kv_source.h"
#include "online_softmax.h"
#include "params.h"
#include "score_rules.h"

namespace fused_attn {
using namespace metal;

/// The part of the grid that a threadgroup computes.
struct DecodeTask {
  uint split, kv_head, sequence;
  uint queries_per_kv_head;
  uint rows; ///< that there are, at most kRows; 0 for a sequence without queries

  DecodeTask(const constant AttentionParams& params, const thread KvSource& source, uint3 group) thread {
    split = group.x;
    kv_head = group.y;
    sequence = group.z;
    queries_per_kv_head = params.queries_per_kv_head;
    rows = min(source.len_q, kRows / queries_per_kv_head) * queries_per_kv_head;
  }
  uint tokens() const thread { return rows / queries_per_kv_head; }
  uint first_head() const thread { return kv_head * queries_per_kv_head; }
  /// Token and head of a row; of the last row for those past it, whose results nobody stores.
  uint token(uint row) const thread { return min(row, rows - 1) / queries_per_kv_head; }
  uint head(uint row) const thread { return first_head() + min(row, rows - 1) % queries_per_kv_head; }
};

/// Tensors that are read. Those that function constants turn off are not bound.
struct DecodeInputs {
  const device Element *query, *key, *value;
  const device uchar* mask;
  const device float *alibi_slopes, *sinks;
};

/// What is a row's own of the rules.
struct RowRules {
  uint token;
  float slope;
  const device uchar* mask;

  /// The row's rules, given those of any row of the sequence.
  ScoreRules of(ScoreRules shared) const thread {
    shared.slope = slope;
    if (has_mask) {
      shared.mask = mask;
    }
    return shared;
  }
};

inline RowRules row_rules_of(const constant AttentionParams& params, const thread KvSource& source,
                             const thread DecodeTask& task, const thread DecodeInputs& inputs, uint row) {
  const ScoreRules rules(params, source, task.sequence, task.head(row), inputs.mask, inputs.alibi_slopes);
  RowRules own;
  own.token = task.token(row);
  own.slope = rules.slope;
  if (has_mask) {
    own.mask = rules.mask;
  }
  return own;
}

/// Steps begin, begin + 1, ..., end - 1 of kStepKeys keys each.
struct StepRange {
  uint begin, end;
};

/// The steps that a split takes of the keys that its rows can see: equally many for all splits but the last ones,
/// whatever the sequence's length is.
inline StepRange steps_of_split(const constant AttentionParams& params, KeyRange visible, uint split) {
  const uint first = visible.begin / kStepKeys;
  const uint end = visible.begin < visible.end ? (visible.end + kStepKeys - 1) / kStepKeys : first;
  const uint share = max((end - first + params.num_splits - 1) / params.num_splits, params.keys_per_split / kStepKeys);
  const ulong begin = first + ulong(split) * share;
  return {uint(min(begin, ulong(end))), uint(min(begin + share, ulong(end)))};
}

/// Where the rows of a tile of `keys` are. A tile begins at a multiple of its size, so it is an even run, or two or
/// four of them, if blocks are multiples of such a part: then the table is looked up once for each run, by all lanes
/// together. Else it is looked up row by row. `together`: rows that are read at once, all of one run.
template <uint keys, uint together = keys> struct TileRows {
  static constexpr constant uint kMaxRuns = 4;
  KvSource source;
  uint first_key;
  RowPlace runs[kMaxRuns];

  /// Keys of a run; 0 where there are none. A constant of the pipeline, as what follows from it is.
  static uint run_keys() {
    return KvSource::has_runs_of(keys)                                   ? keys
           : keys / 2 % together == 0 && KvSource::has_runs_of(keys / 2) ? keys / 2
           : keys / 4 % together == 0 && KvSource::has_runs_of(keys / 4) ? keys / 4
                                                                         : 0;
  }
  static bool has_runs() { return run_keys() != 0; }
  static bool has_run(uint number) { return number * run_keys() < keys; }

  TileRows(const thread KvSource& kv_source, uint first) thread : source(kv_source) {
    first_key = first;
    if (has_runs()) {
#pragma clang loop unroll(full)
      for (uint n = 0; n < kMaxRuns; ++n) {
        if (has_run(n)) {
          // The table may end before the tile does: nobody sees those keys, so that any place will do.
          const uint key = first_key + n * run_keys();
          runs[n] = source.place(n == 0 ? key : min(key, source.len_k - 1));
        }
      }
    }
  }
  /// Whether some run has no block. Where there are none, each row says so itself.
  bool lacks_a_run() const thread {
    bool lacks = false;
    if (has_runs()) {
#pragma clang loop unroll(full)
      for (uint n = 0; n < kMaxRuns; ++n) {
        lacks = lacks || (has_run(n) && !runs[n].exists);
      }
    }
    return lacks;
  }
  /// Row first_key + i, below len_k unless there are runs. `first` is the first of the rows that are read at once: the
  /// same for all lanes, and a constant once loops are unrolled.
  RowPlace place(uint i, uint first = 0) const thread {
    if (!has_runs()) {
      return source.place(first_key + i);
    }
    RowPlace run = runs[0];
#pragma clang loop unroll(full)
    for (uint n = 1; n < kMaxRuns; ++n) {
      if (has_run(n) && first >= n * run_keys()) { // no index: what is indexed at run time is not in registers
        run = runs[n];
      }
    }
    const uint row = i - first / run_keys() * run_keys();
    return {run.key + row * source.key_row, run.value + row * source.value_row, run.exists};
  }
};

/// Stores results of rows: out and lse, or those of a split, which are the same thing over its keys, in fp32, without
/// sinks.
struct DecodeOutput {
  device Element* out; ///< of the first row
  long out_row, out_head;
  device float* lse; ///< of the first row; of the split if partial
  long lse_head;
  device float* partial_out;
  uint queries_per_kv_head, rows;

  DecodeOutput(const constant AttentionParams& params, const thread KvSource& source, const thread DecodeTask& task,
               uint batch, device Element* out_buffer, device float* lse_buffer, device float* partial_out_buffer,
               device float* partial_lse_buffer) thread {
    queries_per_kv_head = task.queries_per_kv_head;
    rows = task.rows;
    if (is_split) {
      // Partial results are [split, rows of the whole call]: as lse, if that is contiguous.
      const bool is_dense = FUSED_ATTN_KV_SOURCE == kDenseSource;
      lse_head = is_dense ? params.len_q : params.total_q;
      const ulong all_rows = (is_dense ? batch : 1) * ulong(params.num_heads) * lse_head;
      const ulong heads_before = (is_dense ? task.sequence * ulong(params.num_heads) : 0) + task.first_head();
      const ulong first = task.split * all_rows + heads_before * lse_head + source.first_query;
      lse = partial_lse_buffer + first;
      partial_out = partial_out_buffer + first * kHeadDimV;
    } else {
      out = out_buffer + query_base(params.out, task.sequence, task.first_head(), source);
      out_row = params.out.row;
      out_head = params.out.head;
      lse = lse_buffer + lse_base(params, task.sequence, task.first_head(), source);
      lse_head = params.lse_head;
    }
  }

  bool has(uint row) const thread { return row < rows; }

  void store(uint row, uint column, float number) const thread {
    const uint token = row / queries_per_kv_head;
    const uint head = row % queries_per_kv_head;
    if (is_split) {
      partial_out[(head * ulong(lse_head) + token) * kHeadDimV + column] = number;
    } else {
      out[token * out_row + head * out_head + column] = Element(number);
    }
  }
  void store_lse(uint row, SoftmaxRow state) const thread {
    const uint token = row / queries_per_kv_head;
    const uint head = row % queries_per_kv_head;
    lse[head * lse_head + token] = state.log_sum_exp();
  }
};

} // namespace fused_attn
