// Attention of whole sequences on the CPU, tile of queries by tile of queries.
#pragma once

#include "position_bias.h"
#include "tile.h"

#include <optional>
#include <vector>

namespace fused_attn::cpu {

/// A batch of sequences of equal lengths.
struct Sequences {
  Tensor query; ///< [N, Hq, Lq, D]
  Tensor key;   ///< [N, Hkv, Lkv, D]
  Tensor value; ///< [N, Hkv, Lkv, Dv]
  Tensor mask;  ///< bool or floating [1 or N, 1 or Hq, 1 or Lq, 1 or Lkv], or undefined
};

/// The whole batch in one call of attend(), where nothing needs a bias of [Lq, Lkv] entries; otherwise none.
std::optional<State> attend_at_once(const Sequences& sequences, const ScoreRules& rules);

/// A batch of sequences to attend by rows, and where its results go.
struct RowTask {
  Sequences sequences;
  PositionBias bias; ///< with slopes for one or for N sequences
  Tensor out;        ///< [N, Hq, Lq, Dv]
  Tensor lse;        ///< fp32 [N, Hq, Lq]
};

/// Tasks by tiles of queries. Cores take tiles from one list, so that none waits for another before the end of the
/// call; if there are too few tiles for that, ATen shares out the heads of each. `sinks` is fp32 [Hq] or undefined.
void attend_by_rows(const std::vector<RowTask>& tasks, const ScoreRules& rules, const Tensor& sinks);

} // namespace fused_attn::cpu
