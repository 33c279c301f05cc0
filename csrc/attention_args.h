// One validated, normalised view of an attention call.
//
// Data flows one way: schema -> attention_args -> backend. Everything a call can get wrong is refused here, with a
// sentence that names the argument, what it was and what it must be; no backend checks again.
//
// Two kinds of check:
//   check_*()   shapes, dtypes, devices, strides and plain numbers. Works on symbolic sizes, so that the fake
//   (shape-only)
//               kernels of torch.compile and torch.export call the very same code.
//   make_*()    check_*(), then what lengths and tables *contain* if they are in host memory, then the normalised view.
//               Contents that live on a device are never copied to the host: its kernels clamp them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymInt.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace fused_attn {

using at::Tensor;
using c10::SymInt;

/// Largest head dimension that any backend takes.
inline constexpr int64_t kMaxHeadDim = 256;

/// The keyword arguments that the three forwards share, as the schema delivers them.
struct CommonOptions {
  bool is_causal;                            ///< hide keys after the query's position
  std::optional<double> scale;               ///< factor on query·key; none = 1/sqrt(head_dim)
  const std::optional<Tensor>& alibi_slopes; ///< fp32 [Hq] or [B, Hq]
  const SymInt& window_left;                 ///< keys visible before the query's position, -1 = all
  const SymInt& window_right;                ///< keys visible after it, -1 = all
  double softcap;                            ///< 0 = off
  const std::optional<Tensor>& sinks;        ///< one extra logit per head, [Hq]
};

/// What happens to a score, normalised: causal is a window, defaults are filled in.
struct ScoreRules {
  static constexpr int64_t kUnlimited = int64_t{1} << 40; ///< wider than any sequence, and safe to add to a position
  double scale;
  double softcap;       ///< 0 = off
  int64_t window_left;  ///< key j is visible from position p when p - window_left <= j <= p + window_right
  int64_t window_right; ///< 0 for causal
  bool top_left;        ///< query i sits at position i, instead of i + Lkv - Lq
  Tensor alibi_slopes;  ///< fp32 [1 or B, Hq], or undefined
  Tensor sinks;         ///< fp32 [Hq], or undefined

  bool limits_keys() const { return window_left != kUnlimited || window_right != kUnlimited; }
  /// Position of query 0 among the keys.
  int64_t position_offset(int64_t len_q, int64_t len_k) const { return top_left ? 0 : len_k - len_q; }
};

/// A dense, batched call: query [B, Hq, Lq, D], key [B, Hkv, Lkv, D], value [B, Hkv, Lkv, Dv].
struct DenseArgs {
  Tensor query, key, value;
  Tensor mask; ///< 4-D, each dimension 1 or full, bool or floating; or undefined
  ScoreRules rules;
  int64_t batch, num_heads, num_kv_heads, len_q, len_k, head_dim, head_dim_v;
};

/// A packed call: query [Tq, Hq, D]; key and value either packed [Tk, Hkv, D] or caches [num_blocks, block_size, Hkv,
/// D].
struct PackedArgs {
  Tensor query, key, value;
  Tensor cu_seqlens_q; ///< int32 [B + 1]
  Tensor cu_seqlens_k; ///< int32 [B + 1], varlen only
  Tensor block_table;  ///< int32 [B, max_blocks], paged only
  Tensor seqused_k;    ///< int32 [B], paged only
  ScoreRules rules;
  int64_t batch, num_heads, num_kv_heads, head_dim, total_q;
  int64_t block_size; ///< paged only, else 0
};

/// Whether an output that follows the layout of [B, H, L, D] is [B, L, H, D] in memory: where the heads of a token lie
/// next to each other in `like`, as those of a transposed [B, L, H, D] do. Otherwise it is contiguous.
bool is_token_major(const Tensor& like);
/// An uninitialised [B, H, L, head_dim] in that layout, with the other sizes of `like`.
Tensor empty_like_heads(const Tensor& like, int64_t head_dim);

void check_forward(const Tensor& query, const Tensor& key, const Tensor& value, const std::optional<Tensor>& attn_mask,
                   const CommonOptions& options, std::string_view causal_alignment);
DenseArgs make_forward(const Tensor& query, const Tensor& key, const Tensor& value,
                       const std::optional<Tensor>& attn_mask, const CommonOptions& options,
                       std::string_view causal_alignment);

void check_varlen(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& cu_seqlens_q,
                  const Tensor& cu_seqlens_k, const SymInt& max_seqlen_q, const SymInt& max_seqlen_k,
                  const CommonOptions& options);
PackedArgs make_varlen(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& cu_seqlens_q,
                       const Tensor& cu_seqlens_k, const SymInt& max_seqlen_q, const SymInt& max_seqlen_k,
                       const CommonOptions& options);

void check_paged(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_table,
                 const Tensor& seqused_k, const Tensor& cu_seqlens_q, const SymInt& max_seqlen_q,
                 const CommonOptions& options);
PackedArgs make_paged(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache,
                      const Tensor& block_table, const Tensor& seqused_k, const Tensor& cu_seqlens_q,
                      const SymInt& max_seqlen_q, const CommonOptions& options);

} // namespace fused_attn
