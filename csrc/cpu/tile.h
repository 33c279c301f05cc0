// Attention of one tile of queries over one run of keys: the unit that every CPU forward is made of.
#pragma once

#include <ATen/core/Tensor.h>

namespace fused_attn::cpu {

using at::Tensor;

/// Queries, keys and what is added to their scores. N is a batch of independent problems.
struct Tile {
  Tensor query; ///< [N, Hq, Lq, D], Lq >= 1
  Tensor key;   ///< [N, Hkv, Lkv, D], Lkv >= 1
  Tensor value; ///< [N, Hkv, Lkv, Dv]
  Tensor bias;  ///< floating, [1 or N, 1 or Hq, 1 or Lq, 1 or Lkv], added after the softcap; or undefined
  double scale;
  double softcap;                  ///< 0 = off
  bool is_causal = false;          ///< hide key j from query i where j > i, on top of the bias
  bool bias_may_hide_rows = false; ///< some query may see no key at all: its lse must become -inf
};

/// What merging and returning need: the outputs and the logarithms of the softmax's denominators.
struct State {
  Tensor out; ///< [N, Hq, Lq, Dv], dtype of the query
  Tensor lse; ///< fp32 [N, Hq, Lq], natural logarithm; -inf where no key was seen
};

/// Whether ATen's fused attention can compute the tile; if not, attend() makes its scores.
bool is_fusable(const Tile& tile);

State attend(const Tile& tile);

/// Adds the sinks, fp32 [Hq], to the denominators of a state.
void add_sinks(State& state, const Tensor& sinks);

} // namespace fused_attn::cpu
