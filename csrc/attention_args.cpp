#include "attention_args.h"

#include "check.h"
#include "elements.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

namespace fused_attn {
namespace {

/// The sizes that the checks of all three forwards compare.
struct Sizes {
  SymInt batch, num_heads, num_kv_heads, head_dim;
};

void check_operand(std::string_view op, const char* name, const Tensor& tensor, int64_t rank, const char* shape,
                   const char* query_name, const Tensor& query) {
  check_rank(op, name, tensor, rank, shape);
  check_same_dtype(op, name, tensor, query_name, query);
  check_same_device(op, name, tensor, query_name, query);
  check_unit_stride(op, name, tensor);
}

void check_head_dim(std::string_view op, const char* name, const SymInt& head_dim) {
  FUSED_ATTN_CHECK(head_dim >= 1 && head_dim <= kMaxHeadDim, op, name,
                   "'s head_dim (its last dimension) must be from 1 to ", kMaxHeadDim, ", but is ", head_dim,
                   "; use F.scaled_dot_product_attention for larger heads");
}

void check_heads(std::string_view op, const SymInt& num_heads, const SymInt& num_kv_heads, const char* key_name) {
  FUSED_ATTN_CHECK(num_heads >= 1, op, "query must have at least 1 head, but has ", num_heads);
  FUSED_ATTN_CHECK(num_kv_heads >= 1, op, key_name, " must have at least 1 head, but has ", num_kv_heads);
  FUSED_ATTN_CHECK(num_heads % num_kv_heads == 0, op, "query's number of heads must be a multiple of ", key_name,
                   "'s, but they are ", num_heads, " and ", num_kv_heads, "; check which dimension holds the heads");
}

/// Refuses a size of `name` that differs from the one it must equal.
void check_size(std::string_view op, const char* name, const Tensor& tensor, int64_t dim, const char* what,
                const SymInt& expected, const char* like_name) {
  FUSED_ATTN_CHECK_SYM(tensor.sym_size(dim).sym_eq(expected), op, name, " must have ", what, " ", expected, " as ",
                       like_name, " has, but its shape is ", tensor.sym_sizes());
}

void check_options(std::string_view op, const CommonOptions& options, const Sizes& sizes, const Tensor& query) {
  FUSED_ATTN_CHECK(!options.scale || std::isfinite(*options.scale), op, "scale must be a finite number, but is ",
                   *options.scale, "; leave it out for 1/sqrt(head_dim)");
  FUSED_ATTN_CHECK(std::isfinite(options.softcap) && options.softcap >= 0, op,
                   "softcap must be a finite number >= 0, but is ", options.softcap, "; 0 turns it off");
  FUSED_ATTN_CHECK(options.window_left >= -1, op,
                   "window_left must be -1 (unlimited) or a number of keys >= 0, but is ", options.window_left,
                   "; leave it out for no limit");
  FUSED_ATTN_CHECK(options.window_right >= -1, op,
                   "window_right must be -1 (unlimited) or a number of keys >= 0, but is ", options.window_right,
                   "; leave it out for no limit");
  if (options.alibi_slopes) {
    const Tensor& slopes = *options.alibi_slopes;
    check_same_device(op, "alibi_slopes", slopes, "query", query);
    FUSED_ATTN_CHECK(slopes.scalar_type() == at::kFloat, op, "alibi_slopes must be float32, but is ",
                     slopes.scalar_type(), "; convert it with .float()");
    const int64_t rank = slopes.dim();
    const bool fits = (rank == 1 || rank == 2) && slopes.sym_size(rank - 1) == sizes.num_heads &&
                      (rank == 1 || slopes.sym_size(0) == sizes.batch);
    FUSED_ATTN_CHECK(fits, op, "alibi_slopes must be [Hq] or [B, Hq], here [", sizes.num_heads, "] or [", sizes.batch,
                     ", ", sizes.num_heads, "], but its shape is ", slopes.sym_sizes(),
                     "; torch_fused_attn.alibi_slopes(num_heads) makes the usual ones");
  }
  if (options.sinks) {
    const Tensor& sinks = *options.sinks;
    check_same_device(op, "sinks", sinks, "query", query);
    FUSED_ATTN_CHECK(sinks.scalar_type() == at::kFloat || sinks.scalar_type() == query.scalar_type(), op,
                     "sinks must be float32 or have query's dtype, ", query.scalar_type(), ", but is ",
                     sinks.scalar_type(), "; convert it with .float()");
    FUSED_ATTN_CHECK(sinks.dim() == 1 && sinks.sym_size(0) == sizes.num_heads, op, "sinks must be [Hq], here [",
                     sizes.num_heads, "], one logit for each query head, but its shape is ", sinks.sym_sizes());
  }
}

void check_mask(std::string_view op, const Tensor& mask, const Tensor& query, const SymInt& len_k) {
  check_same_device(op, "attn_mask", mask, "query", query);
  FUSED_ATTN_CHECK(mask.layout() == at::kStrided, op, "attn_mask must be a dense (strided) tensor, but its layout is ",
                   mask.layout(), "; call .to_dense() first");
  const auto dtype = mask.scalar_type();
  FUSED_ATTN_CHECK(dtype == at::kBool || dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16, op,
                   "attn_mask must be bool (True where a key takes part), float32, float16 or bfloat16, but is ", dtype,
                   "; convert it with .to(torch.bool) or .float()");
  const SymInt full[4] = {query.sym_size(0), query.sym_size(1), query.sym_size(2), len_k};
  bool fits = mask.dim() <= 4;
  for (int64_t i = 1; fits && i <= mask.dim(); ++i) {
    const SymInt size = mask.sym_size(mask.dim() - i);
    fits = size == full[4 - i] || size == 1;
  }
  FUSED_ATTN_CHECK(fits, op, "attn_mask must be broadcastable to [B, Hq, Lq, Lkv], here [", full[0], ", ", full[1],
                   ", ", full[2], ", ", full[3], "], but its shape is ", mask.sym_sizes(),
                   "; a padding mask [B, Lkv] becomes mask[:, None, None, :]");
}

ScoreRules make_rules(const CommonOptions& options, int64_t head_dim, bool top_left) {
  const auto limit = [](const SymInt& window) {
    const int64_t keys = window.expect_int();
    return keys < 0 ? ScoreRules::kUnlimited : std::min(keys, ScoreRules::kUnlimited);
  };
  ScoreRules rules;
  rules.scale = options.scale ? *options.scale : 1.0 / std::sqrt(static_cast<double>(head_dim));
  rules.softcap = options.softcap;
  rules.window_left = limit(options.window_left);
  rules.window_right = options.is_causal ? 0 : limit(options.window_right);
  rules.top_left = top_left;
  if (options.alibi_slopes) {
    rules.alibi_slopes = options.alibi_slopes->dim() == 1 ? options.alibi_slopes->unsqueeze(0) : *options.alibi_slopes;
  }
  if (options.sinks) {
    rules.sinks = *options.sinks;
  }
  return rules;
}

/// Refuses a query [Tq, Hq, D] that the packed forwards cannot take.
void check_packed_query(std::string_view op, const Tensor& query) {
  check_rank(op, "query", query, 3, "[total tokens, Hq, D]");
  check_floating(op, "query", query);
  check_unit_stride(op, "query", query);
  check_head_dim(op, "query", query.sym_size(2));
}

void check_max_seqlen(std::string_view op, const char* name, const SymInt& max_seqlen) {
  FUSED_ATTN_CHECK_SYM(max_seqlen.sym_ge(0), op, name, " must be at least 0, the longest sequence's length, but is ",
                       max_seqlen);
}

/// Refuses a cu_seqlens in host memory that does not rise from 0 to `total`, or has a sequence above `max_seqlen`.
void check_cu_seqlens_contents(std::string_view op, const char* name, const Tensor& cu_seqlens, int64_t total,
                               const char* total_name, int64_t max_seqlen, const char* max_name) {
  if (!is_readable(cu_seqlens)) {
    return;
  }
  const int32_t* entries = elements_of<int32_t>(cu_seqlens);
  const int64_t last = cu_seqlens.numel() - 1;
  FUSED_ATTN_CHECK(entries[0] == 0, op, name, " must start with 0, but starts with ", entries[0]);
  for (int64_t b = 0; b < last; ++b) {
    const int64_t length = static_cast<int64_t>(entries[b + 1]) - entries[b];
    FUSED_ATTN_CHECK(length >= 0, op, name, " must never fall, but entry ", b + 1, " is ", entries[b + 1], " after ",
                     entries[b]);
    FUSED_ATTN_CHECK(length <= max_seqlen, op, max_name, " must be at least the longest sequence's length, but is ",
                     max_seqlen, " while ", name, " gives sequence ", b, " a length of ", length);
  }
  FUSED_ATTN_CHECK(entries[last] == total, op, name, " must end with ", total, ", the number of tokens in ", total_name,
                   ", but ends with ", entries[last]);
}

/// Refuses lengths and block table entries in host memory that would read outside of the cache.
void check_paged_contents(const PackedArgs& args) {
  constexpr std::string_view op = "paged_forward";
  if (!is_readable(args.block_table) || !is_readable(args.seqused_k) || !is_readable(args.cu_seqlens_q)) {
    return;
  }
  const int32_t* cu_seqlens = elements_of<int32_t>(args.cu_seqlens_q);
  const int32_t* lengths = elements_of<int32_t>(args.seqused_k);
  const int32_t* table = elements_of<int32_t>(args.block_table);
  const int64_t max_blocks = args.block_table.size(1);
  const int64_t capacity = max_blocks * args.block_size;
  const int64_t num_blocks = args.key.size(0);
  for (int64_t b = 0; b < args.batch; ++b) {
    const int64_t len_q = cu_seqlens[b + 1] - cu_seqlens[b];
    const int64_t len_k = lengths[b];
    FUSED_ATTN_CHECK(len_k >= 0 && len_k <= capacity, op, "seqused_k[", b, "] must be from 0 to ", capacity,
                     " (block_table's ", max_blocks, " blocks of ", args.block_size, " keys), but is ", len_k);
    if (len_q == 0) {
      continue; // nothing of this sequence is read
    }
    // Blocks that every query's window has left behind are never read, so that a caller may have given them back.
    const int64_t first_key = std::max<int64_t>(0, args.rules.position_offset(len_q, len_k) - args.rules.window_left);
    for (int64_t i = first_key / args.block_size; i * args.block_size < len_k; ++i) {
      const int32_t block = table[b * max_blocks + i];
      FUSED_ATTN_CHECK(block >= 0 && block < num_blocks, op, "block_table[", b, ", ", i, "] must be from 0 to ",
                       num_blocks - 1, " because seqused_k[", b, "] = ", len_k, " keys reach it, but is ", block);
    }
  }
}

} // namespace

bool is_token_major(const Tensor& like) {
  return like.sym_stride(1) < like.sym_stride(2);
}

Tensor empty_like_heads(const Tensor& like, int64_t head_dim) {
  if (is_token_major(like)) {
    return at::empty({like.size(0), like.size(2), like.size(1), head_dim}, like.options()).transpose(1, 2);
  }
  return at::empty({like.size(0), like.size(1), like.size(2), head_dim}, like.options());
}

void check_forward(const Tensor& query, const Tensor& key, const Tensor& value, const std::optional<Tensor>& attn_mask,
                   const CommonOptions& options, std::string_view causal_alignment) {
  constexpr std::string_view op = "forward";
  check_rank(op, "query", query, 4, "[B, Hq, Lq, D]");
  check_floating(op, "query", query);
  check_unit_stride(op, "query", query);
  check_operand(op, "key", key, 4, "[B, Hkv, Lkv, D]", "query", query);
  check_operand(op, "value", value, 4, "[B, Hkv, Lkv, Dv]", "query", query);
  check_head_dim(op, "query", query.sym_size(3));
  check_head_dim(op, "value", value.sym_size(3));
  check_size(op, "key", key, 3, "head_dim", query.sym_size(3), "query");
  check_size(op, "key", key, 0, "batch size", query.sym_size(0), "query");
  check_size(op, "value", value, 0, "batch size", query.sym_size(0), "query");
  check_size(op, "value", value, 1, "number of heads", key.sym_size(1), "key");
  check_size(op, "value", value, 2, "length", key.sym_size(2), "key");
  check_heads(op, query.sym_size(1), key.sym_size(1), "key");
  if (attn_mask) {
    check_mask(op, *attn_mask, query, key.sym_size(2));
  }
  check_options(op, options, {query.sym_size(0), query.sym_size(1), key.sym_size(1), query.sym_size(3)}, query);
  FUSED_ATTN_CHECK(causal_alignment == "bottom_right" || causal_alignment == "top_left", op,
                   "causal_alignment must be \"bottom_right\" or \"top_left\", but is \"", causal_alignment, "\"");
}

DenseArgs make_forward(const Tensor& query, const Tensor& key, const Tensor& value,
                       const std::optional<Tensor>& attn_mask, const CommonOptions& options,
                       std::string_view causal_alignment) {
  check_forward(query, key, value, attn_mask, options, causal_alignment);
  DenseArgs args;
  args.query = query;
  args.key = key;
  args.value = value;
  if (attn_mask) {
    args.mask = *attn_mask;
    while (args.mask.dim() < 4) {
      args.mask = args.mask.unsqueeze(0);
    }
  }
  args.batch = query.size(0);
  args.num_heads = query.size(1);
  args.num_kv_heads = key.size(1);
  args.len_q = query.size(2);
  args.len_k = key.size(2);
  args.head_dim = query.size(3);
  args.head_dim_v = value.size(3);
  args.rules = make_rules(options, args.head_dim, causal_alignment == "top_left");
  return args;
}

void check_varlen(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& cu_seqlens_q,
                  const Tensor& cu_seqlens_k, const SymInt& max_seqlen_q, const SymInt& max_seqlen_k,
                  const CommonOptions& options) {
  constexpr std::string_view op = "varlen_forward";
  check_packed_query(op, query);
  check_operand(op, "key", key, 3, "[total keys, Hkv, D]", "query", query);
  check_operand(op, "value", value, 3, "[total keys, Hkv, D]", "query", query);
  check_size(op, "key", key, 2, "head_dim", query.sym_size(2), "query");
  check_size(op, "value", value, 2, "head_dim", query.sym_size(2), "query");
  check_size(op, "value", value, 0, "number of tokens", key.sym_size(0), "key");
  check_size(op, "value", value, 1, "number of heads", key.sym_size(1), "key");
  check_heads(op, query.sym_size(1), key.sym_size(1), "key");
  check_index(op, "cu_seqlens_q", cu_seqlens_q, at::kInt, 1, "[B + 1]", "query", query);
  check_index(op, "cu_seqlens_k", cu_seqlens_k, at::kInt, 1, "[B + 1]", "query", query);
  FUSED_ATTN_CHECK_SYM(cu_seqlens_q.sym_size(0).sym_ge(1), op,
                       "cu_seqlens_q must have B + 1 entries, at least 1, but is empty");
  check_size(op, "cu_seqlens_k", cu_seqlens_k, 0, "length", cu_seqlens_q.sym_size(0), "cu_seqlens_q");
  check_max_seqlen(op, "max_seqlen_q", max_seqlen_q);
  check_max_seqlen(op, "max_seqlen_k", max_seqlen_k);
  check_options(op, options, {cu_seqlens_q.sym_size(0) - 1, query.sym_size(1), key.sym_size(1), query.sym_size(2)},
                query);
}

PackedArgs make_varlen(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& cu_seqlens_q,
                       const Tensor& cu_seqlens_k, const SymInt& max_seqlen_q, const SymInt& max_seqlen_k,
                       const CommonOptions& options) {
  check_varlen(query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, options);
  constexpr std::string_view op = "varlen_forward";
  check_cu_seqlens_contents(op, "cu_seqlens_q", cu_seqlens_q, query.size(0), "query", max_seqlen_q.expect_int(),
                            "max_seqlen_q");
  check_cu_seqlens_contents(op, "cu_seqlens_k", cu_seqlens_k, key.size(0), "key", max_seqlen_k.expect_int(),
                            "max_seqlen_k");
  PackedArgs args;
  args.query = query;
  args.key = key;
  args.value = value;
  args.cu_seqlens_q = cu_seqlens_q;
  args.cu_seqlens_k = cu_seqlens_k;
  args.batch = cu_seqlens_q.size(0) - 1;
  args.num_heads = query.size(1);
  args.num_kv_heads = key.size(1);
  args.head_dim = query.size(2);
  args.total_q = query.size(0);
  args.block_size = 0;
  args.rules = make_rules(options, args.head_dim, false);
  return args;
}

void check_paged(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_table,
                 const Tensor& seqused_k, const Tensor& cu_seqlens_q, const SymInt& max_seqlen_q,
                 const CommonOptions& options) {
  constexpr std::string_view op = "paged_forward";
  constexpr const char* cache_shape = "[num_blocks, block_size, Hkv, D]";
  check_packed_query(op, query);
  check_operand(op, "key_cache", key_cache, 4, cache_shape, "query", query);
  check_operand(op, "value_cache", value_cache, 4, cache_shape, "query", query);
  check_size(op, "key_cache", key_cache, 3, "head_dim", query.sym_size(2), "query");
  check_size(op, "value_cache", value_cache, 0, "number of blocks", key_cache.sym_size(0), "key_cache");
  check_size(op, "value_cache", value_cache, 1, "block_size", key_cache.sym_size(1), "key_cache");
  check_size(op, "value_cache", value_cache, 2, "number of heads", key_cache.sym_size(2), "key_cache");
  check_size(op, "value_cache", value_cache, 3, "head_dim", query.sym_size(2), "query");
  FUSED_ATTN_CHECK_SYM(key_cache.sym_size(1).sym_ge(1), op,
                       "key_cache must have a block_size (its second dimension) of at least 1, but its shape is ",
                       key_cache.sym_sizes());
  check_heads(op, query.sym_size(1), key_cache.sym_size(2), "key_cache");
  check_index(op, "block_table", block_table, at::kInt, 2, "[B, max_blocks]", "query", query);
  check_index(op, "seqused_k", seqused_k, at::kInt, 1, "[B]", "query", query);
  check_index(op, "cu_seqlens_q", cu_seqlens_q, at::kInt, 1, "[B + 1]", "query", query);
  check_size(op, "seqused_k", seqused_k, 0, "length", block_table.sym_size(0), "block_table");
  check_size(op, "cu_seqlens_q", cu_seqlens_q, 0, "length (B + 1)", block_table.sym_size(0) + 1, "block_table");
  check_max_seqlen(op, "max_seqlen_q", max_seqlen_q);
  check_options(op, options, {block_table.sym_size(0), query.sym_size(1), key_cache.sym_size(2), query.sym_size(2)},
                query);
}

PackedArgs make_paged(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache,
                      const Tensor& block_table, const Tensor& seqused_k, const Tensor& cu_seqlens_q,
                      const SymInt& max_seqlen_q, const CommonOptions& options) {
  check_paged(query, key_cache, value_cache, block_table, seqused_k, cu_seqlens_q, max_seqlen_q, options);
  check_cu_seqlens_contents("paged_forward", "cu_seqlens_q", cu_seqlens_q, query.size(0), "query",
                            max_seqlen_q.expect_int(), "max_seqlen_q");
  PackedArgs args;
  args.query = query;
  args.key = key_cache;
  args.value = value_cache;
  args.cu_seqlens_q = cu_seqlens_q;
  args.block_table = block_table;
  args.seqused_k = seqused_k;
  args.batch = block_table.size(0);
  args.num_heads = query.size(1);
  args.num_kv_heads = key_cache.size(2);
  args.head_dim = query.size(2);
  args.total_q = query.size(0);
  args.block_size = key_cache.size(1);
  args.rules = make_rules(options, args.head_dim, false);
  check_paged_contents(args);
  return args;
}

} // namespace fused_attn
