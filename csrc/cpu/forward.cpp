// The operators forward and varlen_forward on the CPU.
#include "attention_args.h"
#include "elements.h"
#include "rows.h"

#include <ATen/Functions.h>
#include <torch/library.h>

namespace fused_attn::cpu {
namespace {

using OptionalTensor = std::optional<Tensor>;
using Result = std::tuple<Tensor, Tensor>;

/// Tiles made by their scores need K and V in fp32, and neighbouring tiles need the same keys: up to this many elements
/// (16 MiB) are converted once for the whole call.
constexpr int64_t kConvertedAtOnce = 1 << 22;

/// A result of ATen's in the layout that the operator promises, copied only if it has another.
Tensor laid_out_as(const Tensor& query, const Tensor& out) {
  const bool token_major = is_token_major(query);
  const Tensor inner = token_major ? out.transpose(1, 2) : out;
  if (!inner.is_contiguous()) {
    return empty_like_heads(query, out.size(3)).copy_(out);
  }
  // Dimensions of size 1 may have any stride in a contiguous tensor; the promised ones are exact.
  const Tensor exact = inner.view({-1}).view(inner.sizes());
  return token_major ? exact.transpose(1, 2) : exact;
}

Result forward(const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& attn_mask,
               bool is_causal, std::optional<double> scale, const OptionalTensor& alibi_slopes, SymInt window_left,
               SymInt window_right, double softcap, const OptionalTensor& sinks, std::string_view causal_alignment) {
  const DenseArgs args =
      make_forward(query, key, value, attn_mask,
                   {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks}, causal_alignment);
  const Tensor fp32_sinks = args.rules.sinks.defined() ? args.rules.sinks.to(at::kFloat) : Tensor();
  Sequences sequences{args.query, args.key, args.value, args.mask};
  if (std::optional<State> state = attend_at_once(sequences, args.rules)) {
    if (fp32_sinks.defined()) {
      add_sinks(*state, fp32_sinks);
    }
    return {laid_out_as(query, state->out), state->lse.contiguous()};
  }
  Tensor out = empty_like_heads(query, args.head_dim_v);
  Tensor lse = at::empty({args.batch, args.num_heads, args.len_q}, query.options().dtype(at::kFloat));
  if (args.rules.softcap > 0 && args.key.numel() + args.value.numel() <= kConvertedAtOnce) {
    sequences.key = args.key.to(at::kFloat);
    sequences.value = args.value.to(at::kFloat);
  }
  const PositionBias bias(args.rules, args.len_q, args.len_k);
  std::vector<RowTask> tasks;
  if (!args.mask.defined()) {
    tasks.push_back({sequences, bias, out, lse});
  } else {
    // A mask makes a bias of its own for each tile; one element of the batch at a time bounds its memory.
    for (int64_t n = 0; n < args.batch; ++n) {
      const auto element = [n](const Tensor& t) { return t.size(0) == 1 ? t : t.narrow(0, n, 1); };
      tasks.push_back({{element(args.query), element(sequences.key), element(sequences.value), element(args.mask)},
                       bias.of_sequence(n),
                       element(out),
                       element(lse)});
    }
  }
  attend_by_rows(tasks, args.rules, fp32_sinks);
  return {out, lse};
}

Result varlen_forward(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& cu_seqlens_q,
                      const Tensor& cu_seqlens_k, SymInt max_seqlen_q, SymInt max_seqlen_k, bool is_causal,
                      std::optional<double> scale, const OptionalTensor& alibi_slopes, SymInt window_left,
                      SymInt window_right, double softcap, const OptionalTensor& sinks) {
  const PackedArgs args = make_varlen(query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k,
                                      {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks});
  Tensor out = at::empty({args.total_q, args.num_heads, args.head_dim}, query.options());
  Tensor lse = at::empty({args.num_heads, args.total_q}, query.options().dtype(at::kFloat));
  const Tensor fp32_sinks = args.rules.sinks.defined() ? args.rules.sinks.to(at::kFloat) : Tensor();
  const int32_t* begin_q = elements_of<int32_t>(args.cu_seqlens_q);
  const int32_t* begin_k = elements_of<int32_t>(args.cu_seqlens_k);
  const auto longest = [&](const int32_t* begin) {
    int32_t length = 1;
    for (int64_t b = 0; b < args.batch; ++b) {
      length = std::max(length, begin[b + 1] - begin[b]);
    }
    return length;
  };
  const PositionBias bias(args.rules, longest(begin_q), longest(begin_k));
  std::vector<RowTask> tasks;
  for (int64_t b = 0; b < args.batch; ++b) {
    const Range queries{begin_q[b], begin_q[b + 1]};
    const Range keys{begin_k[b], begin_k[b + 1]};
    // [T, H, D] -> [1, H, L, D], a view
    const auto dense = [](const Tensor& packed, Range range) {
      return packed.narrow(0, range.begin, range.size()).transpose(0, 1).unsqueeze(0);
    };
    tasks.push_back({{dense(args.query, queries), dense(args.key, keys), dense(args.value, keys), Tensor()},
                     bias.of_sequence(b),
                     dense(out, queries),
                     lse.narrow(1, queries.begin, queries.size()).unsqueeze(0)});
  }
  attend_by_rows(tasks, args.rules, fp32_sinks);
  return {out, lse};
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, CPU, m) {
  m.impl("forward", forward);
  m.impl("varlen_forward", varlen_forward);
}

} // namespace fused_attn::cpu
