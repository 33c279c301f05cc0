// The operators reshape_and_cache_ and copy_blocks_ on the CPU.
#include "cache_args.h"
#include "elements.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cstring>

namespace fused_attn::cpu {
namespace {

/// Copies token t of [T, Hkv, D] to its slot of [num_blocks, block_size, Hkv, D], for every t.
void write_slots(const Tensor& tokens, const Tensor& cache, const Tensor& slot_mapping) {
  const int64_t* slots = elements_of<int64_t>(slot_mapping);
  const int64_t block_size = cache.size(1);
  const int64_t num_heads = cache.size(2);
  const int64_t item = cache.element_size();
  const size_t row_bytes = cache.size(3) * item;
  const char* source = static_cast<const char*>(tokens.const_data_ptr());
  char* target = static_cast<char*>(cache.mutable_data_ptr());
  at::parallel_for(0, tokens.size(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      if (slots[t] < 0) {
        continue;
      }
      const int64_t place = slots[t] / block_size * cache.stride(0) + slots[t] % block_size * cache.stride(1);
      for (int64_t h = 0; h < num_heads; ++h) {
        std::memcpy(target + (place + h * cache.stride(2)) * item,
                    source + (t * tokens.stride(0) + h * tokens.stride(1)) * item, row_bytes);
      }
    }
  });
}

void reshape_and_cache_(const Tensor& key, const Tensor& value, const Tensor& key_cache, const Tensor& value_cache,
                        const Tensor& slot_mapping) {
  check_reshape_and_cache(key, value, key_cache, value_cache, slot_mapping);
  check_slots(key_cache, slot_mapping);
  write_slots(key, key_cache, slot_mapping);
  write_slots(value, value_cache, slot_mapping);
}

void copy_blocks_(const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_mapping) {
  check_copy_blocks(key_cache, value_cache, block_mapping);
  check_block_pairs(key_cache, block_mapping);
  const int64_t* pairs = elements_of<int64_t>(block_mapping);
  for (int64_t n = 0; n < block_mapping.size(0); ++n) {
    key_cache.select(0, pairs[2 * n + 1]).copy_(key_cache.select(0, pairs[2 * n]));
    value_cache.select(0, pairs[2 * n + 1]).copy_(value_cache.select(0, pairs[2 * n]));
  }
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, CPU, m) {
  m.impl("reshape_and_cache_", reshape_and_cache_);
  m.impl("copy_blocks_", copy_blocks_);
}

} // namespace fused_attn::cpu
