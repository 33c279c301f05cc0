// The operators reshape_and_cache_ and copy_blocks_ on MPS. Their kernels skip slots and blocks that the cache does not
// have: what a mapping holds stays on the device.
#include "../cache_args.h"
#include "launch.h"

#include <torch/library.h>

#include <algorithm>

namespace fused_attn::mps {
namespace {

/// Strides of a cache [num_blocks, block_size, H, D], in bytes.
CacheStrides byte_strides(const Tensor& cache) {
  const int64_t item = cache.element_size();
  return {cache.stride(0) * item, cache.stride(1) * item, cache.stride(2) * item};
}

/// The largest unit in which rows can be copied: every row of the tensors has to begin and end at a multiple of it.
uint32_t copy_unit(std::initializer_list<const Tensor*> tensors) {
  for (const uint32_t unit : {16U, 4U}) {
    const bool divides_all = std::all_of(tensors.begin(), tensors.end(), [&](const Tensor* tensor) {
      const int64_t item = tensor->element_size();
      bool divides = tensor->storage_offset() * item % unit == 0 && tensor->size(-1) * item % unit == 0;
      for (int64_t dim = 0; dim + 1 < tensor->dim(); ++dim) {
        // The only row of a dimension has no neighbour.
        divides = divides && (tensor->size(dim) == 1 || tensor->stride(dim) * item % unit == 0);
      }
      return divides;
    });
    if (divides_all) {
      return unit;
    }
  }
  return 2; // no element is smaller
}

/// Fills in what the parameters of both kernels have in common.
template <typename Params> Params cache_params(const Tensor& key_cache, const Tensor& value_cache, uint32_t unit) {
  Params params{};
  params.key_cache = byte_strides(key_cache);
  params.value_cache = byte_strides(value_cache);
  params.num_kv_heads = static_cast<uint32_t>(key_cache.size(2));
  params.row_bytes = static_cast<uint32_t>(key_cache.size(3) * key_cache.element_size());
  params.unit_bytes = unit;
  params.block_size = static_cast<uint32_t>(key_cache.size(1));
  params.num_blocks = static_cast<uint32_t>(key_cache.size(0));
  return params;
}

void reshape_and_cache_(const Tensor& key, const Tensor& value, const Tensor& key_cache, const Tensor& value_cache,
                        const Tensor& slot_mapping) {
  check_reshape_and_cache(key, value, key_cache, value_cache, slot_mapping);
  if (key.numel() == 0 || key_cache.numel() == 0) {
    return;
  }
  const uint32_t unit = copy_unit({&key, &value, &key_cache, &value_cache});
  auto params = cache_params<ReshapeAndCacheParams>(key_cache, value_cache, unit);
  params.key_token = key.stride(0) * key.element_size();
  params.key_head = key.stride(1) * key.element_size();
  params.value_token = value.stride(0) * value.element_size();
  params.value_head = value.stride(1) * value.element_size();
  Dispatch dispatch(plan_reshape_and_cache(key.size(0)));
  dispatch.bind(kNewKeyBuffer, key)
      .bind(kNewValueBuffer, value)
      .bind_written(kKeyCacheBuffer, key_cache)
      .bind_written(kValueCacheBuffer, value_cache)
      .bind(kMappingBuffer, slot_mapping)
      .bind_params(kCacheParamsBuffer, params);
  encode({dispatch});
}

void copy_blocks_(const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_mapping) {
  check_copy_blocks(key_cache, value_cache, block_mapping);
  if (block_mapping.numel() == 0 || key_cache.numel() == 0) {
    return;
  }
  const uint32_t unit = copy_unit({&key_cache, &value_cache});
  const auto params = cache_params<CopyBlocksParams>(key_cache, value_cache, unit);
  const int64_t block_units = int64_t{params.block_size} * params.num_kv_heads * (params.row_bytes / unit);
  Dispatch dispatch(plan_copy_blocks(block_mapping.size(0), block_units));
  dispatch.bind_written(kKeyCacheBuffer, key_cache)
      .bind_written(kValueCacheBuffer, value_cache)
      .bind(kMappingBuffer, block_mapping)
      .bind_params(kCacheParamsBuffer, params);
  encode({dispatch});
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, MPS, m) {
  m.impl("reshape_and_cache_", reshape_and_cache_);
  m.impl("copy_blocks_", copy_blocks_);
}

} // namespace fused_attn::mps
