// Writing new keys and values into a paged cache, and copying blocks of it.
//
// Both kernels move bytes and know no element type: rows of a head are `row_bytes` long and copied in units of
// `unit_bytes`, the largest of 16, 4 and 2 that divides all addresses, strides and row_bytes, which the host says.
// Neighbouring threads copy neighbouring units.
//
//  reshape_and_cache   grid (tokens); a threadgroup copies one token's K and V, all heads.
//  copy_blocks         grid (pairs, any number); the threadgroups of a pair share its units out among them.
//  threadgroup         any number of threads. No threadgroup memory, no barriers.
//
// slot_mapping and block_mapping are on the device and were checked by nobody: what names no slot or block is skipped.
#include <metal_stdlib>

#include "params.h"

using namespace metal;
using namespace fused_attn;

namespace fused_attn {

/// A row's place in a cache, in bytes from the start of its buffer.
inline ulong cache_place(const constant CacheStrides& strides, ulong block, uint token, uint head) {
  return block * strides.block + token * ulong(strides.token) + head * ulong(strides.head);
}

template <typename Unit>
inline void copy_token(const device uchar* key, const device uchar* value, device uchar* key_cache,
                       device uchar* value_cache, const constant ReshapeAndCacheParams& params, ulong token, ulong slot,
                       uint thread_index, uint threads) {
  const uint row_units = params.row_bytes / sizeof(Unit);
  const ulong block = slot / params.block_size;
  const uint offset = slot % params.block_size;
  for (uint i = thread_index; i < params.num_kv_heads * row_units; i += threads) {
    const uint head = i / row_units;
    const uint column = i % row_units;
    const ulong key_row = token * params.key_token + head * ulong(params.key_head);
    const ulong value_row = token * params.value_token + head * ulong(params.value_head);
    const ulong key_slot = cache_place(params.key_cache, block, offset, head);
    const ulong value_slot = cache_place(params.value_cache, block, offset, head);
    reinterpret_cast<device Unit*>(key_cache + key_slot)[column] =
        reinterpret_cast<const device Unit*>(key + key_row)[column];
    reinterpret_cast<device Unit*>(value_cache + value_slot)[column] =
        reinterpret_cast<const device Unit*>(value + value_row)[column];
  }
}

template <typename Unit>
inline void copy_block(device uchar* cache, const constant CacheStrides& strides,
                       const constant CopyBlocksParams& params, ulong source, ulong target, uint thread_index,
                       uint threads) {
  const uint row_units = params.row_bytes / sizeof(Unit);
  const ulong units = ulong(params.block_size) * params.num_kv_heads * row_units;
  for (ulong i = thread_index; i < units; i += threads) {
    const uint column = i % row_units;
    const uint row = i / row_units;
    const uint token = row / params.num_kv_heads;
    const uint head = row % params.num_kv_heads;
    reinterpret_cast<device Unit*>(cache + cache_place(strides, target, token, head))[column] =
        reinterpret_cast<device Unit*>(cache + cache_place(strides, source, token, head))[column];
  }
}

template <typename Unit>
inline void copy_pair(device uchar* key_cache, device uchar* value_cache, const constant CopyBlocksParams& params,
                      ulong source, ulong target, uint thread_index, uint threads) {
  copy_block<Unit>(key_cache, params.key_cache, params, source, target, thread_index, threads);
  copy_block<Unit>(value_cache, params.value_cache, params, source, target, thread_index, threads);
}

} // namespace fused_attn

kernel void reshape_and_cache(const device uchar* key [[buffer(kNewKeyBuffer)]],
                              const device uchar* value [[buffer(kNewValueBuffer)]],
                              device uchar* key_cache [[buffer(kKeyCacheBuffer)]],
                              device uchar* value_cache [[buffer(kValueCacheBuffer)]],
                              const device long* slot_mapping [[buffer(kMappingBuffer)]],
                              const constant ReshapeAndCacheParams& params [[buffer(kCacheParamsBuffer)]],
                              uint token [[threadgroup_position_in_grid]],
                              uint thread_index [[thread_index_in_threadgroup]],
                              uint threads [[threads_per_threadgroup]]) {
  const long slot = slot_mapping[token];
  if (slot < 0 || slot >= long(params.num_blocks) * params.block_size) {
    return;
  }
  switch (params.unit_bytes) {
  case 16:
    copy_token<uint4>(key, value, key_cache, value_cache, params, token, slot, thread_index, threads);
    break;
  case 4:
    copy_token<uint>(key, value, key_cache, value_cache, params, token, slot, thread_index, threads);
    break;
  default:
    copy_token<ushort>(key, value, key_cache, value_cache, params, token, slot, thread_index, threads);
  }
}

kernel void copy_blocks(device uchar* key_cache [[buffer(kKeyCacheBuffer)]],
                        device uchar* value_cache [[buffer(kValueCacheBuffer)]],
                        const device long* block_mapping [[buffer(kMappingBuffer)]],
                        const constant CopyBlocksParams& params [[buffer(kCacheParamsBuffer)]],
                        uint3 group [[threadgroup_position_in_grid]], uint3 groups [[threadgroups_per_grid]],
                        uint3 thread_index [[thread_position_in_threadgroup]],
                        uint3 threads [[threads_per_threadgroup]]) {
  const long source = block_mapping[2 * ulong(group.x)];
  const long target = block_mapping[2 * ulong(group.x) + 1];
  const long num_blocks = params.num_blocks;
  if (source < 0 || source >= num_blocks || target < 0 || target >= num_blocks) {
    return;
  }
  const uint index = group.y * threads.x + thread_index.x;
  const uint sharers = groups.y * threads.x;
  switch (params.unit_bytes) {
  case 16:
    copy_pair<uint4>(key_cache, value_cache, params, source, target, index, sharers);
    break;
  case 4:
    copy_pair<uint>(key_cache, value_cache, params, source, target, index, sharers);
    break;
  default:
    copy_pair<ushort>(key_cache, value_cache, params, source, target, index, sharers);
  }
}
