#include "cache_args.h"

#include "check.h"
#include "elements.h"

#include <ATen/MemoryOverlap.h>

#include <unordered_set>

namespace fused_attn {
namespace {

void check_caches(std::string_view op, const Tensor& key_cache, const Tensor& value_cache) {
  constexpr const char* shape = "[num_blocks, block_size, Hkv, D]";
  check_rank(op, "key_cache", key_cache, 4, shape);
  check_floating(op, "key_cache", key_cache);
  check_rank(op, "value_cache", value_cache, 4, shape);
  check_same_dtype(op, "value_cache", value_cache, "key_cache", key_cache);
  check_same_device(op, "value_cache", value_cache, "key_cache", key_cache);
  for (int64_t dim = 0; dim < 4; ++dim) {
    FUSED_ATTN_CHECK_SYM(value_cache.sym_size(dim).sym_eq(key_cache.sym_size(dim)), op,
                         "value_cache must have the shape of key_cache, ", key_cache.sym_sizes(), ", but its shape is ",
                         value_cache.sym_sizes());
  }
  FUSED_ATTN_CHECK_SYM(key_cache.sym_size(1).sym_ge(1), op,
                       "key_cache must have a block_size (its second dimension) of at least 1, but its shape is ",
                       key_cache.sym_sizes());
  check_unit_stride(op, "key_cache", key_cache);
  check_unit_stride(op, "value_cache", value_cache);
}

/// Refuses a tensor that the operator writes and whose elements share memory, as those of an expanded tensor do.
void check_writable(std::string_view op, const char* name, const Tensor& tensor) {
  FUSED_ATTN_CHECK(at::has_internal_overlap(tensor) != at::MemOverlap::Yes, op, name,
                   " must not share memory between its elements, because it is written, but its strides are ",
                   tensor.sym_strides(), "; call .contiguous() instead of .expand()");
}

void check_new_tokens(std::string_view op, const char* name, const Tensor& tokens, const Tensor& key,
                      const Tensor& cache) {
  check_rank(op, name, tokens, 3, "[T, Hkv, D]");
  check_same_dtype(op, name, tokens, "key_cache", cache);
  check_same_device(op, name, tokens, "key_cache", cache);
  check_unit_stride(op, name, tokens);
  FUSED_ATTN_CHECK_SYM(tokens.sym_size(0).sym_eq(key.sym_size(0)), op, name, " must have as many tokens as key, ",
                       key.sym_size(0), ", but its shape is ", tokens.sym_sizes());
  FUSED_ATTN_CHECK_SYM(tokens.sym_size(1).sym_eq(cache.sym_size(2)), op, name,
                       " must have as many heads as the cache, ", cache.sym_size(2), ", but its shape is ",
                       tokens.sym_sizes());
  FUSED_ATTN_CHECK_SYM(tokens.sym_size(2).sym_eq(cache.sym_size(3)), op, name, " must have the cache's head_dim, ",
                       cache.sym_size(3), ", but its shape is ", tokens.sym_sizes());
}

} // namespace

void check_reshape_and_cache(const Tensor& key, const Tensor& value, const Tensor& key_cache, const Tensor& value_cache,
                             const Tensor& slot_mapping) {
  constexpr std::string_view op = "reshape_and_cache_";
  check_caches(op, key_cache, value_cache);
  check_writable(op, "key_cache", key_cache);
  check_writable(op, "value_cache", value_cache);
  check_new_tokens(op, "key", key, key, key_cache);
  check_new_tokens(op, "value", value, key, key_cache);
  check_index(op, "slot_mapping", slot_mapping, at::kLong, 1, "[T]", "key_cache", key_cache);
  FUSED_ATTN_CHECK_SYM(slot_mapping.sym_size(0).sym_eq(key.sym_size(0)), op,
                       "slot_mapping must have one entry for each token of key, ", key.sym_size(0),
                       ", but its shape is ", slot_mapping.sym_sizes(), "; a negative entry skips a token");
}

void check_slots(const Tensor& key_cache, const Tensor& slot_mapping) {
  if (!is_readable(slot_mapping)) {
    return;
  }
  const int64_t* slots = elements_of<int64_t>(slot_mapping);
  const int64_t num_slots = key_cache.size(0) * key_cache.size(1);
  for (int64_t t = 0; t < slot_mapping.numel(); ++t) {
    FUSED_ATTN_CHECK(slots[t] < num_slots, "reshape_and_cache_", "slot_mapping[", t, "] must be less than ", num_slots,
                     " (", key_cache.size(0), " blocks of ", key_cache.size(1),
                     "), or negative to skip the token, but is ", slots[t]);
  }
}

void check_copy_blocks(const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_mapping) {
  constexpr std::string_view op = "copy_blocks_";
  check_caches(op, key_cache, value_cache);
  check_writable(op, "key_cache", key_cache);
  check_writable(op, "value_cache", value_cache);
  check_index(op, "block_mapping", block_mapping, at::kLong, 2, "[N, 2]", "key_cache", key_cache);
  FUSED_ATTN_CHECK_SYM(block_mapping.sym_size(1).sym_eq(2), op,
                       "block_mapping must be [N, 2], pairs of source and destination, but its shape is ",
                       block_mapping.sym_sizes());
}

void check_block_pairs(const Tensor& key_cache, const Tensor& block_mapping) {
  constexpr std::string_view op = "copy_blocks_";
  if (!is_readable(block_mapping)) {
    return;
  }
  const int64_t* pairs = elements_of<int64_t>(block_mapping);
  const int64_t num_blocks = key_cache.size(0);
  const int64_t num_pairs = block_mapping.size(0);
  std::unordered_set<int64_t> sources;
  std::unordered_set<int64_t> destinations;
  for (int64_t n = 0; n < num_pairs; ++n) {
    for (int64_t side = 0; side < 2; ++side) {
      const int64_t block = pairs[2 * n + side];
      FUSED_ATTN_CHECK(block >= 0 && block < num_blocks, op, "block_mapping[", n, ", ", side, "] must be from 0 to ",
                       num_blocks - 1, ", but is ", block);
    }
    FUSED_ATTN_CHECK(destinations.insert(pairs[2 * n + 1]).second, op,
                     "block_mapping must name each destination once, but ", pairs[2 * n + 1],
                     " is named again by pair ", n);
    sources.insert(pairs[2 * n]);
  }
  for (int64_t n = 0; n < num_pairs; ++n) {
    const bool chained = pairs[2 * n] != pairs[2 * n + 1] && sources.count(pairs[2 * n + 1]) != 0;
    FUSED_ATTN_CHECK(!chained, op,
                     "block_mapping must not use a block both as a destination and as a source, but pair ", n,
                     " writes block ", pairs[2 * n + 1], ", which another pair reads; copy them in two calls");
  }
}

void check_merge_states(const Tensor& out_a, const Tensor& lse_a, const Tensor& out_b, const Tensor& lse_b) {
  constexpr std::string_view op = "merge_states";
  FUSED_ATTN_CHECK(
      out_a.dim() == 4 || out_a.dim() == 3, op,
      "out_a must be [B, H, L, D] as forward returns it or [T, H, D] as varlen_forward does, but its shape is ",
      out_a.sym_sizes());
  const bool packed = out_a.dim() == 3;
  check_floating(op, "out_a", out_a);
  check_rank(op, "out_b", out_b, out_a.dim(), packed ? "[T, H, D]" : "[B, H, L, D]");
  check_same_dtype(op, "out_b", out_b, "out_a", out_a);
  check_same_device(op, "out_b", out_b, "out_a", out_a);
  for (int64_t dim = 0; dim < out_a.dim(); ++dim) {
    FUSED_ATTN_CHECK_SYM(out_b.sym_size(dim).sym_eq(out_a.sym_size(dim)), op, "out_b must have the shape of out_a, ",
                         out_a.sym_sizes(), ", but its shape is ", out_b.sym_sizes());
  }
  const auto check_lse = [&](const char* name, const Tensor& lse) {
    check_rank(op, name, lse, out_a.dim() - 1, packed ? "[H, T]" : "[B, H, L]");
    check_same_device(op, name, lse, "out_a", out_a);
    FUSED_ATTN_CHECK(lse.scalar_type() == at::kFloat, op, name, " must be float32, as the forwards return it, but is ",
                     lse.scalar_type(), "; convert it with .float()");
    for (int64_t dim = 0; dim < lse.dim(); ++dim) {
      const int64_t out_dim = packed ? 1 - dim : dim;
      FUSED_ATTN_CHECK_SYM(lse.sym_size(dim).sym_eq(out_a.sym_size(out_dim)), op, name, " must be ",
                           packed ? "[H, T]" : "[B, H, L]", " for out_a's shape, ", out_a.sym_sizes(),
                           ", but its shape is ", lse.sym_sizes());
    }
  };
  check_lse("lse_a", lse_a);
  check_lse("lse_b", lse_b);
}

} // namespace fused_attn
