// The operator forward on MPS.
#include "attention.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace fused_attn::mps {
namespace {

using OptionalTensor = std::optional<Tensor>;

/// Of a [B, H, L, D].
Strides dense_strides(const Tensor& tensor) {
  return {stride_along(tensor, 0), stride_along(tensor, 1), stride_along(tensor, 2)};
}

void set_mask(AttentionCall& call, const Tensor& mask) {
  call.mask = mask;
  if (!mask.defined()) {
    return;
  }
  call.params.mask = {stride_along(mask, 0), stride_along(mask, 1), stride_along(mask, 2)};
  call.params.mask_column = stride_along(mask, 3);
  // Masks that are one in memory are labelled once, also where they were expanded.
  call.problem.mask_batch = call.params.mask.batch == 0 ? 1 : mask.size(0);
  call.problem.mask_heads = call.params.mask.head == 0 ? 1 : mask.size(1);
}

Result forward(const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& attn_mask,
               bool is_causal, std::optional<double> scale, const OptionalTensor& alibi_slopes, SymInt window_left,
               SymInt window_right, double softcap, const OptionalTensor& sinks, std::string_view causal_alignment) {
  const DenseArgs args =
      make_forward(query, key, value, attn_mask,
                   {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks}, causal_alignment);
  Tensor out = empty_like_heads(query, args.head_dim_v);
  Tensor lse = at::empty({args.batch, args.num_heads, args.len_q}, query.options().dtype(at::kFloat));
  if (lse.numel() == 0) {
    return {out, lse};
  }
  if (args.len_k == 0) {
    fill_without_keys(out, lse, 1, args.rules);
    return {out, lse};
  }

  AttentionCall call;
  call.query = with_padded_head_dim(args.query);
  call.key = with_padded_head_dim(args.key);
  call.value = with_padded_head_dim(args.value);
  call.out = is_padded(args.head_dim_v) ? empty_like_heads(query, call.value.size(3)) : out;
  call.lse = lse;
  call.problem.element = element_of(query);
  call.problem.source = KvSource::kDense;
  call.problem.batch = args.batch;
  call.problem.num_heads = args.num_heads;
  call.problem.num_kv_heads = args.num_kv_heads;
  call.problem.len_q = args.len_q;
  call.problem.len_k = args.len_k;
  call.problem.head_dim = call.query.size(3);
  call.problem.head_dim_v = call.value.size(3);
  set_mask(call, args.mask);

  AttentionParams& params = call.params;
  params.query = dense_strides(call.query);
  params.key = dense_strides(call.key);
  params.value = dense_strides(call.value);
  params.out = dense_strides(call.out);
  params.lse_batch = lse.stride(0);
  params.lse_head = lse.stride(1);
  params.len_q = kernel_size("forward", "query's length", args.len_q);
  params.len_k = kernel_size("forward", "key's length", args.len_k);
  attend(call, args.rules);
  if (is_padded(args.head_dim_v)) {
    out.copy_(call.out.narrow(3, 0, args.head_dim_v));
  }
  return {out, lse};
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, MPS, m) {
  m.impl("forward", forward);
}

} // namespace fused_attn::mps
