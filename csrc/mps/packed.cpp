// The operators varlen_forward and paged_forward on MPS. What cu_seqlens, lengths and block_table hold stays on the
// device: kernels clamp it, and nothing here waits for it.
#include "attention.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>

namespace fused_attn::mps {
namespace {

using OptionalTensor = std::optional<Tensor>;

/// Of a [T, H, D].
Strides packed_strides(const Tensor& tensor) {
  return {0, stride_along(tensor, 1), stride_along(tensor, 0)};
}

/// Of a [num_blocks, block_size, H, D], within a block.
Strides cache_strides(const Tensor& cache) {
  return {0, stride_along(cache, 2), stride_along(cache, 1)};
}

/// What both operators share. `len_q` and `len_k` are the longest sequence's, or bounds.
AttentionCall packed_call(std::string_view op, const PackedArgs& args, KvSource source, int64_t len_q, int64_t len_k) {
  AttentionCall call;
  call.query = with_padded_head_dim(args.query);
  call.key = with_padded_head_dim(args.key);
  call.value = with_padded_head_dim(args.value);
  call.cu_seqlens_q = args.cu_seqlens_q;
  call.problem.element = element_of(args.query);
  call.problem.source = source;
  call.problem.batch = args.batch;
  call.problem.num_heads = args.num_heads;
  call.problem.num_kv_heads = args.num_kv_heads;
  call.problem.len_q = std::clamp<int64_t>(len_q, 1, args.total_q);
  call.problem.len_k = std::max<int64_t>(len_k, 1);
  call.problem.total_q = args.total_q;
  call.problem.head_dim = call.query.size(-1);
  call.problem.head_dim_v = call.value.size(-1);
  call.problem.block_size = std::max<int64_t>(args.block_size, 1);

  AttentionParams& params = call.params;
  params.query = packed_strides(call.query);
  params.lse_batch = 0;
  params.lse_head = args.total_q;
  params.len_q = static_cast<uint32_t>(call.problem.len_q);
  params.total_q = kernel_size(op, "query's number of tokens", args.total_q);
  return call;
}

/// Computes a call that has rows and keys into `out` and `lse`.
void attend_packed(AttentionCall& call, const PackedArgs& args, Tensor& out, Tensor& lse) {
  const bool padded = is_padded(args.head_dim);
  call.out = padded ? at::empty({args.total_q, args.num_heads, call.problem.head_dim_v}, out.options()) : out;
  call.lse = lse;
  call.params.out = packed_strides(call.out);
  attend(call, args.rules);
  if (padded) {
    out.copy_(call.out.narrow(2, 0, args.head_dim));
  }
}

Result empty_result(const PackedArgs& args) {
  return {at::empty({args.total_q, args.num_heads, args.head_dim}, args.query.options()),
          at::empty({args.num_heads, args.total_q}, args.query.options().dtype(at::kFloat))};
}

Result varlen_forward(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& cu_seqlens_q,
                      const Tensor& cu_seqlens_k, SymInt max_seqlen_q, SymInt max_seqlen_k, bool is_causal,
                      std::optional<double> scale, const OptionalTensor& alibi_slopes, SymInt window_left,
                      SymInt window_right, double softcap, const OptionalTensor& sinks) {
  const PackedArgs args = make_varlen(query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k,
                                      {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks});
  auto [out, lse] = empty_result(args);
  if (args.total_q == 0) {
    return {out, lse};
  }
  const int64_t total_k = args.key.size(0);
  if (total_k == 0 || args.batch == 0) {
    fill_without_keys(out, lse, 0, args.rules);
    return {out, lse};
  }
  AttentionCall call = packed_call("varlen_forward", args, KvSource::kPacked, max_seqlen_q.expect_int(),
                                   std::min(max_seqlen_k.expect_int(), total_k));
  call.lengths = args.cu_seqlens_k;
  call.params.key = packed_strides(call.key);
  call.params.value = packed_strides(call.value);
  call.params.len_k = static_cast<uint32_t>(call.problem.len_k);
  call.params.total_k = kernel_size("varlen_forward", "key's number of tokens", total_k);
  attend_packed(call, args, out, lse);
  return {out, lse};
}

Result paged_forward(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_table,
                     const Tensor& seqused_k, const Tensor& cu_seqlens_q, SymInt max_seqlen_q, bool is_causal,
                     std::optional<double> scale, const OptionalTensor& alibi_slopes, SymInt window_left,
                     SymInt window_right, double softcap, const OptionalTensor& sinks) {
  constexpr std::string_view op = "paged_forward";
  const PackedArgs args = make_paged(query, key_cache, value_cache, block_table, seqused_k, cu_seqlens_q, max_seqlen_q,
                                     {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks});
  auto [out, lse] = empty_result(args);
  if (args.total_q == 0) {
    return {out, lse};
  }
  const int64_t num_blocks = args.key.size(0);
  const int64_t max_blocks = args.block_table.size(1);
  if (num_blocks == 0 || max_blocks == 0 || args.batch == 0) {
    fill_without_keys(out, lse, 0, args.rules);
    return {out, lse};
  }
  const int64_t capacity = kernel_size(op, "block_table's columns x block_size", max_blocks * args.block_size);
  AttentionCall call = packed_call(op, args, KvSource::kPaged, max_seqlen_q.expect_int(), capacity);
  call.lengths = args.seqused_k;
  call.block_table = args.block_table;
  call.params.key = cache_strides(call.key);
  call.params.value = cache_strides(call.value);
  call.params.key_block = stride_along(call.key, 0);
  call.params.value_block = stride_along(call.value, 0);
  call.params.len_k = static_cast<uint32_t>(capacity);
  call.params.max_blocks = kernel_size(op, "block_table's number of columns", max_blocks);
  call.params.num_blocks = kernel_size(op, "key_cache's number of blocks", num_blocks);
  attend_packed(call, args, out, lse);
  return {out, lse};
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, MPS, m) {
  m.impl("varlen_forward", varlen_forward);
  m.impl("paged_forward", paged_forward);
}

} // namespace fused_attn::mps
