// Attention of whole sequences on the CPU, tile of queries by tile of queries.
#pragma once

#include "position_bias.h"
#include "tile.h"

namespace fused_attn::cpu {

/// A batch of sequences of equal lengths, and where their results go.
struct Sequences {
  Tensor query; ///< [N, Hq, Lq, D]
  Tensor key;   ///< [N, Hkv, Lkv, D]
  Tensor value; ///< [N, Hkv, Lkv, Dv]
  Tensor mask;  ///< bool or floating [1 or N, 1 or Hq, 1 or Lq, 1 or Lkv], or undefined
};

/// The whole batch in one call of attend(), where nothing needs a bias of [Lq, Lkv] entries; otherwise none.
std::optional<State> attend_at_once(const Sequences& sequences, const ScoreRules& rules);

/// The batch by tiles of queries, into out [N, Hq, Lq, Dv] and lse [N, Hq, Lq]. `bias` holds 1 or N rows of slopes, and
/// `sinks` is fp32 [Hq] or undefined.
void attend_by_rows(const Sequences& sequences, const ScoreRules& rules, const PositionBias& bias, const Tensor& sinks,
                    Tensor out, Tensor lse);

/// The result of queries that see no key.
void fill_unseen(Tensor out, Tensor lse, const Tensor& sinks);

} // namespace fused_attn::cpu
