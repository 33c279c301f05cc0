// The operator merge_states on the CPU: the attention over two sets of keys from the attention over each.
#include "cache_args.h"

#include <ATen/Functions.h>
#include <torch/library.h>

#include <limits>

namespace fused_attn::cpu {
namespace {

std::tuple<Tensor, Tensor> merge_states(const Tensor& out_a, const Tensor& lse_a, const Tensor& out_b,
                                        const Tensor& lse_b) {
  check_merge_states(out_a, lse_a, out_b, lse_b);
  const float none = -std::numeric_limits<float>::infinity();
  const Tensor maximum = at::maximum(lse_a, lse_b);
  const Tensor shift = maximum.masked_fill(maximum.eq(none), 0.0); // -inf - (-inf) would be NaN
  const Tensor weight_a = lse_a.sub(shift).exp_();
  const Tensor weight_b = lse_b.sub(shift).exp_();
  const Tensor sum = weight_a.add(weight_b);
  const Tensor denominator = sum.masked_fill(sum.eq(0.0), 1.0);
  const bool packed = out_a.dim() == 3; // out [T, H, D] has lse [H, T]
  const auto share = [&](const Tensor& out, const Tensor& lse, const Tensor& weight) {
    const auto along = [&](const Tensor& t) { return (packed ? t.t() : t).unsqueeze(-1); };
    // A side that saw no key counts for nothing, whatever its rows hold.
    return out.mul(along(weight.div(denominator))).masked_fill_(along(lse.eq(none)), 0.0);
  };
  const Tensor sum_out = share(out_a, lse_a, weight_a).add_(share(out_b, lse_b, weight_b));
  const int64_t d = out_a.size(-1);
  Tensor out = packed ? at::empty({out_a.size(0), out_a.size(1), d}, out_a.options())
                      : at::empty({out_a.size(0), out_a.size(2), out_a.size(1), d}, out_a.options()).transpose(1, 2);
  out.copy_(sum_out);
  return {out, at::empty(lse_a.sizes(), lse_a.options()).copy_(sum.log().add_(shift))};
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, CPU, m) {
  m.impl("merge_states", merge_states);
}

} // namespace fused_attn::cpu
