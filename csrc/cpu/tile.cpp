#include "tile.h"

#include "states.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace fused_attn::cpu {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

/// True for the queries [n, h, i] whose bias hides every key; broadcastable to lse.
Tensor hidden_rows(const Tile& tile) {
  if (!tile.is_causal) {
    return tile.bias.amax(-1).eq(kNegativeInfinity);
  }
  // Query i sees keys 0..i: it is hidden while no key up to i has a bias above -inf.
  const Tensor bias = tile.bias.expand({-1, -1, -1, tile.key.size(2)});
  return bias.select(2, 0).gt(kNegativeInfinity).cumsum(-1).eq(0).narrow(-1, 0, tile.query.size(2));
}

/// ATen's fused CPU attention, itself a tiled online softmax over all cores.
State attend_fused(const Tile& tile) {
  auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
      tile.query, tile.key, tile.value, /*dropout_p=*/0.0, tile.is_causal,
      tile.bias.defined() ? std::optional<Tensor>(tile.bias) : std::nullopt, tile.scale);
  return {out, lse};
}

/// The tile with its keys in parts, each with a core of its own, and the parts merged.
State attend_split(const Tile& tile, int64_t splits) {
  const int64_t len_k = tile.key.size(2);
  std::vector<Tensor> outs(splits);
  std::vector<Tensor> lses(splits);
  at::parallel_for(0, splits, 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below; // this thread has its own dispatch state
    for (int64_t split = begin; split < end; ++split) {
      const int64_t first = len_k * split / splits;
      const int64_t count = len_k * (split + 1) / splits - first;
      Tile part = tile;
      part.key = tile.key.narrow(2, first, count);
      part.value = tile.value.narrow(2, first, count);
      if (tile.bias.defined() && tile.bias.size(3) > 1) {
        part.bias = tile.bias.narrow(3, first, count);
      }
      State state = attend_fused(part);
      if (part.bias.defined()) {
        // A part may hide all its keys from a query that sees others.
        state.lse.masked_fill_(hidden_rows(part), kNegativeInfinity);
      }
      outs[split] = state.out;
      lses[split] = state.lse;
    }
  });
  const auto [weights, lse] = merge_weights(at::stack(lses), 0);
  const Tensor out = at::stack(outs).mul(weights.unsqueeze(-1)).sum(0);
  return {out.to(tile.query.scalar_type()), lse};
}

/// Parts into which the keys of a tile with few rows are split, so that every core has some.
int64_t num_splits(const Tile& tile) {
  constexpr int64_t kFewestKeys = 1024;
  const int64_t cores = at::in_parallel_region() ? 1 : at::get_num_threads();
  return tile.query.size(0) * tile.query.size(1) >= cores
             ? 1
             : std::clamp<int64_t>(tile.key.size(2) / kFewestKeys, 1, cores);
}

/// One query for each head: the heads that share a K/V head become the rows of one tile, so that K/V are read once for
/// all of them and not once for each.
State attend_row(const Tile& tile) {
  const int64_t num_kv_heads = tile.key.size(1);
  const int64_t group = tile.query.size(1) / num_kv_heads;
  const auto heads_to_rows = [&](const Tensor& t) { return t.squeeze(2).unflatten(1, {num_kv_heads, group}); };
  Tile rows = tile;
  rows.query = heads_to_rows(tile.query);
  if (tile.bias.defined() && tile.bias.size(1) > 1) {
    rows.bias = heads_to_rows(tile.bias);
  }
  const int64_t splits = num_splits(rows);
  const State state = splits > 1 ? attend_split(rows, splits) : attend_fused(rows);
  return {state.out.flatten(1, 2).unsqueeze(2), state.lse.flatten(1, 2).unsqueeze(2)};
}

/// Scores that a core keeps in its cache at a time: 1 MiB of fp32.
constexpr int64_t kScores = 1 << 18;

/// Query heads of one batch element that are computed together: neighbours, all with a K/V head of their own, or all
/// with the same one.
struct HeadRun {
  int64_t n, begin, count;
};

/// All heads of the tile in runs of at most `longest`.
std::vector<HeadRun> head_runs(const Tile& tile, int64_t longest) {
  const int64_t num_heads = tile.query.size(1);
  const int64_t group = num_heads / tile.key.size(1);
  const int64_t limit = group == 1 ? num_heads : group; // a run ends where the next K/V head's group begins
  std::vector<HeadRun> runs;
  for (int64_t n = 0; n < tile.query.size(0); ++n) {
    for (int64_t first = 0; first < num_heads; first += limit) {
      for (int64_t begin = first; begin < first + limit; begin += longest) {
        runs.push_back({n, begin, std::min(longest, first + limit - begin)});
      }
    }
  }
  return runs;
}

/// Largest softcap for which rounding in softcap * sigmoid, 1.2e-7 of the softcap, is far below that of 16-bit inputs.
constexpr double kSigmoidSoftcap = 128.0;

/// Turns products of q and k, scaled by 1/softcap, into scores with their bias, in place. What is left out is the same
/// for a whole row: the return value, which belongs on top of every score.
///
/// softcap * tanh(x) = 2 * softcap * sigmoid(2 * x) - softcap, and ATen's sigmoid takes a sixth of its tanh's time.
double cap_scores(Tensor scores, const Tensor& bias, double softcap, bool by_sigmoid) {
  // Each of these is a pass over the buffer: what can share one does.
  double factor = 1.0;
  if (softcap > 0) {
    factor = by_sigmoid ? 2 * softcap : softcap;
    by_sigmoid ? scores.sigmoid_() : scores.tanh_();
  }
  if (bias.defined()) {
    at::add_out(scores, bias, scores, factor);
  } else if (factor != 1.0) {
    scores.mul_(factor);
  }
  return by_sigmoid ? -softcap : 0.0;
}

/// Attention of some rows of a run of heads by its scores, in fp32: query [heads, rows, D], key_t [heads, D, Lkv].
/// `scores` is a buffer [heads, rows, Lkv] that a thread uses again and again, because memory fresh from the system
/// costs more than the arithmetic.
void attend_scores_of_rows(const Tensor& query, const Tensor& key_t, const Tensor& value, const Tensor& bias,
                           double scale, double softcap, Tensor scores, Tensor out, Tensor lse) {
  const bool by_sigmoid = softcap > 0 && softcap <= kSigmoidSoftcap && query.scalar_type() != at::kFloat;
  const double factor = softcap > 0 ? (by_sigmoid ? 2 : 1) * scale / softcap : scale;
  at::bmm_out(scores, query.to(at::kFloat).mul(factor), key_t);
  const double offset = cap_scores(scores, bias, softcap, by_sigmoid);
  const Tensor maximum = scores.amax(-1, /*keepdim=*/true);
  at::_softmax_out(scores, scores, -1, /*half_to_float=*/false);
  const Tensor hidden = maximum.eq(kNegativeInfinity);
  if (hidden.any().item<bool>()) {
    scores.masked_fill_(hidden, 0.0); // softmax made NaN of rows that see nothing
  }
  out.copy_(at::bmm(scores, value));
  // The largest weight of a row is exp(maximum - lse).
  const Tensor largest = scores.amax(-1, /*keepdim=*/true);
  lse.copy_(maximum.add(offset).sub_(largest.log_()).masked_fill_(hidden, kNegativeInfinity).squeeze(-1));
}

/// Attention by its scores, for what ATen's fused kernel lacks: a soft cap, and values whose head_dim differs.
State attend_scores(const Tile& tile) {
  const int64_t batch = tile.query.size(0);
  const int64_t num_heads = tile.query.size(1);
  const int64_t len_q = tile.query.size(2);
  const int64_t len_k = tile.key.size(2);
  const int64_t group = num_heads / tile.key.size(1);
  Tensor out = at::empty({batch, num_heads, len_q, tile.value.size(3)}, tile.query.options());
  Tensor lse = at::empty({batch, num_heads, len_q}, tile.query.options().dtype(at::kFloat));
  Tensor bias = tile.bias;
  if (bias.defined()) {
    bias = bias.expand({batch, num_heads, len_q, len_k});
  }
  const int64_t rows = std::min(len_q, std::clamp<int64_t>(kScores / len_k, 8, 64));
  const int64_t cores = at::in_parallel_region() ? 1 : at::get_num_threads();
  const int64_t for_every_core = std::max<int64_t>(1, batch * num_heads / cores);
  const int64_t heads = std::clamp<int64_t>(kScores / (rows * len_k), 1, for_every_core);
  const std::vector<HeadRun> runs = head_runs(tile, heads);
  at::parallel_for(0, static_cast<int64_t>(runs.size()), 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below; // this thread has its own dispatch state
    const Tensor buffer = at::empty({heads * rows * len_k}, lse.options());
    for (int64_t r = begin; r < end; ++r) {
      const HeadRun& run = runs[r];
      // [Hkv, Lkv, D] -> fp32 [heads, Lkv, D]; of a shared K/V head a view
      const auto of_kv_heads = [&](const Tensor& t) {
        const int64_t count = group == 1 ? run.count : 1;
        return t.select(0, run.n).narrow(0, run.begin / group, count).to(at::kFloat).expand({run.count, -1, -1});
      };
      const Tensor key_t = of_kv_heads(tile.key).transpose(1, 2);
      const Tensor value = of_kv_heads(tile.value);
      for (int64_t i = 0; i < len_q; i += rows) {
        const int64_t count = std::min(rows, len_q - i);
        const auto of_heads = [&](const Tensor& t) {
          return t.select(0, run.n).narrow(0, run.begin, run.count).narrow(1, i, count);
        };
        const Tensor scores = buffer.narrow(0, 0, run.count * count * len_k).view({run.count, count, len_k});
        attend_scores_of_rows(of_heads(tile.query), key_t, value, bias.defined() ? of_heads(bias) : bias, tile.scale,
                              tile.softcap, scores, of_heads(out), of_heads(lse));
      }
    }
  });
  return {out, lse};
}

} // namespace

bool is_fusable(const Tile& tile) {
  return tile.softcap == 0.0 && tile.query.size(3) == tile.value.size(3);
}

State attend(const Tile& tile) {
  if (!is_fusable(tile)) {
    TORCH_INTERNAL_ASSERT(!tile.is_causal, "the caller turns is_causal into a bias");
    return attend_scores(tile);
  }
  // With as many K/V heads as cores, or more, and no group to fold, ATen's kernel needs no help: nothing to rearrange.
  const bool plain = tile.query.size(1) == tile.key.size(1) && num_splits(tile) == 1;
  State state = tile.query.size(2) > 1 || plain ? attend_fused(tile) : attend_row(tile);
  if (tile.bias.defined() && tile.bias_may_hide_rows) {
    state.lse.masked_fill_(hidden_rows(tile),
                           kNegativeInfinity); // ATen's kernel leaves 0 there, and a right output of 0
  }
  return state;
}

void add_sinks(State& state, const Tensor& sinks) {
  const Tensor lse = at::logaddexp(state.lse, sinks.unsqueeze(-1));
  // The share of the denominator that the keys have; a row without keys stays 0, also where its sink is -inf.
  const Tensor share = state.lse.sub(lse).exp_().masked_fill_(state.lse.eq(kNegativeInfinity), 0.0);
  state.out = state.out.mul(share.unsqueeze(-1)).to(state.out.scalar_type());
  state.lse = lse;
}

} // namespace fused_attn::cpu
