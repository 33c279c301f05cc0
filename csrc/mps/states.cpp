// The operator merge_states on MPS.
#include "../attention_args.h"
#include "../cache_args.h"
#include "attention.h"
#include "launch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/logaddexp.h>
#include <torch/library.h>

namespace fused_attn::mps {
namespace {

/// Of a [B, H, L, D] or its lse [B, H, L].
Strides batched_strides(const Tensor& tensor) {
  return {tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}

/// Of a packed [T, H, D].
Strides packed_strides(const Tensor& out) {
  return {0, out.stride(1), out.stride(0)};
}

/// Of a packed call's lse [H, T].
Strides packed_lse_strides(const Tensor& lse) {
  return {0, lse.stride(0), lse.stride(1)};
}

/// The last dimension's elements next to each other: results of forward are, views of them may not be.
Tensor with_unit_stride(const Tensor& out) {
  return out.stride(-1) == 1 || out.size(-1) == 1 ? out : out.contiguous();
}

Result merge_states(const Tensor& out_a, const Tensor& lse_a, const Tensor& out_b, const Tensor& lse_b) {
  check_merge_states(out_a, lse_a, out_b, lse_b);
  const bool packed = out_a.dim() == 3; // out [T, H, D] has lse [H, T]
  Tensor out = packed ? at::empty(out_a.sizes(), out_a.options()) : empty_like_heads(out_a, out_a.size(3));
  Tensor lse = at::empty(lse_a.sizes(), lse_a.options());
  if (out.numel() == 0) {
    // Without columns there is nothing to weigh, but rows still have an lse.
    return {out, lse.numel() == 0 ? lse : at::logaddexp(lse_a, lse_b)};
  }
  const Tensor a = with_unit_stride(out_a);
  const Tensor b = with_unit_stride(out_b);
  const auto strides = packed ? packed_strides : batched_strides;
  const auto lse_strides = packed ? packed_lse_strides : batched_strides;
  MergeStatesParams params{};
  params.out_a = strides(a);
  params.out_b = strides(b);
  params.out = strides(out);
  params.lse_a = lse_strides(lse_a);
  params.lse_b = lse_strides(lse_b);
  params.lse = lse_strides(lse);
  const int64_t len_q = out.size(packed ? 0 : 2);
  params.len_q = kernel_size("merge_states", "out_a's number of rows", len_q);
  Dispatch dispatch(plan_merge_states(element_of(out), out.size(-1), len_q, out.size(1), packed ? 1 : out.size(0)));
  dispatch.bind(kOutABuffer, a)
      .bind(kLseABuffer, lse_a)
      .bind(kOutBBuffer, b)
      .bind(kLseBBuffer, lse_b)
      .bind(kMergedOutBuffer, out)
      .bind(kMergedLseBuffer, lse)
      .bind_params(kMergeStatesParamsBuffer, params);
  encode({dispatch});
  return {out, lse};
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, MPS, m) {
  m.impl("merge_states", merge_states);
}

} // namespace fused_attn::mps
