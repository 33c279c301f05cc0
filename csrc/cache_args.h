// The checks of the operators that move keys and values, and of merge_states; see attention_args.h for the two kinds of
// check.
#pragma once

#include <ATen/core/Tensor.h>

namespace fused_attn {

using at::Tensor;

void check_reshape_and_cache(const Tensor& key, const Tensor& value, const Tensor& key_cache, const Tensor& value_cache,
                             const Tensor& slot_mapping);
/// Refuses slots beyond the cache, where slot_mapping is in host memory.
void check_slots(const Tensor& key_cache, const Tensor& slot_mapping);

void check_copy_blocks(const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_mapping);
/// Refuses blocks beyond the cache and pairs whose result would depend on their order, where block_mapping is in host
/// memory.
void check_block_pairs(const Tensor& key_cache, const Tensor& block_mapping);

void check_merge_states(const Tensor& out_a, const Tensor& lse_a, const Tensor& out_b, const Tensor& lse_b);

} // namespace fused_attn
