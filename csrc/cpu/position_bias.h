// What the positions alone add to the scores (causal, windows, ALiBi), without a [Lq, Lkv] matrix.
//
// All three depend on the distance d = j - p of key j from the query's position p, and on nothing else, so the bias of
// a tile is constant along its diagonals. With the tile's queries in *reverse* order the entries of row r and column c
// have
//
//     d = (c + r) + constant          e.g. 3 queries (the last one first), 4 keys:   d0   d0+1 d0+2 d0+3
//                                                                                   d0+1 d0+2 d0+3 d0+4
//                                                                                   d0+2 d0+3 d0+4 d0+5
//
// which is a view, with strides (1, 1), of a vector with one entry for each distance. A whole call needs one such
// vector of Lq + Lkv - 1 entries for each head (one for all heads without ALiBi), however long the sequences are.
#pragma once

#include "attention_args.h"

#include <algorithm>

namespace fused_attn::cpu {

/// A half-open range of queries or keys.
struct Range {
  int64_t begin;
  int64_t end;
  int64_t size() const { return std::max<int64_t>(0, end - begin); }
};

/// Where the queries of one sequence sit among its keys, and what they may see.
struct Positions {
  int64_t len_q, len_k;
  int64_t offset; ///< position of query 0
  int64_t window_left, window_right;

  Positions(const ScoreRules& rules, int64_t len_q, int64_t len_k);

  /// The queries that some key of [keys] is visible to, as far as positions tell.
  Range queries_of(Range keys) const;
  /// The keys that some query of [queries] sees.
  Range keys_of(Range queries) const;
  /// Whether every query of the tile sees every key of it.
  bool all_visible(Range queries, Range keys) const;
};

/// The bias vector of a call and its views.
class PositionBias {
public:
  /// For distances that sequences of up to these lengths have.
  PositionBias(const ScoreRules& rules, int64_t max_len_q, int64_t max_len_k);

  /// The bias of one sequence of the batch, where each has slopes of its own.
  PositionBias of_sequence(int64_t n) const;
  /// The bias of some heads.
  PositionBias of_heads(int64_t begin, int64_t count) const;

  /// Whether the tile needs a bias: it has ALiBi, or keys that some of its queries do not see.
  bool applies(const Positions& positions, Range queries, Range keys) const;

  /// fp32 [1 or B, 1 or Hq, Lq, Lkv] for the tile's queries in reverse order, a view.
  Tensor reversed_view(const Positions& positions, Range queries, Range keys) const;

private:
  bool has_alibi_;
  int64_t first_distance_; ///< of entry 0
  Tensor entries_;         ///< fp32 [1 or B, 1 or Hq, distances]
};

} // namespace fused_attn::cpu
