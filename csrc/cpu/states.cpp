#include "states.h"

#include "attention_args.h"
#include "cache_args.h"

#include <ATen/Functions.h>
#include <torch/library.h>

#include <limits>

namespace fused_attn::cpu {

MergeWeights merge_weights(const Tensor& lse, int64_t dim) {
  // Where no part saw a key softmax is NaN, from -inf - (-inf); such a row has no weights.
  const Tensor nothing = lse.eq(-std::numeric_limits<float>::infinity());
  return {lse.softmax(dim).masked_fill_(nothing, 0.0), lse.logsumexp(dim)};
}

namespace {

/// The operator: the attention over two sets of keys from the attention over each.
std::tuple<Tensor, Tensor> merge_states(const Tensor& out_a, const Tensor& lse_a, const Tensor& out_b,
                                        const Tensor& lse_b) {
  check_merge_states(out_a, lse_a, out_b, lse_b);
  const auto [weights, lse] = merge_weights(at::stack({lse_a, lse_b}), 0);
  const bool packed = out_a.dim() == 3; // out [T, H, D] has lse [H, T]
  const auto share = [&](const Tensor& out, const Tensor& weight) {
    const Tensor along = (packed ? weight.t() : weight).unsqueeze(-1);
    // A side that counts for nothing does so whatever its rows hold.
    return out.mul(along).masked_fill_(along.eq(0.0), 0.0);
  };
  Tensor out = packed ? at::empty(out_a.sizes(), out_a.options()) : empty_like_heads(out_a, out_a.size(3));
  out.copy_(share(out_a, weights[0]).add_(share(out_b, weights[1])));
  return {out, lse};
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, CPU, m) {
  m.impl("merge_states", merge_states);
}

} // namespace fused_attn::cpu
