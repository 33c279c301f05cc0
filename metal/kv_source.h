// Where a sequence's queries, keys and values lie: dense tensors, packed tensors, or a paged cache.
//
// One struct, KvSource, with the same interface for all three; FUSED_ATTN_KV_SOURCE says which. Kernels that use it
// take FUSED_ATTN_SOURCE_PARAMETERS among their parameters and hand them on as FUSED_ATTN_SOURCE_ARGUMENTS.
//
// Lengths, cu_seqlens and block tables are on the device and were checked by nobody. Here they are clamped, so that
// whatever they hold, no kernel leaves a tensor: lengths to what there is room for, cu_seqlens to be non-decreasing,
// and an entry of the table that names no block to block 0, with `exists` false: kernels take the rows for zeros, as
// the reference does.
#pragma once

#include <metal_stdlib>

#include "function_constants.h"
#include "params.h"

namespace fused_attn {
using namespace metal;

typedef FUSED_ATTN_ELEMENT Element; ///< of query, key, value and out

enum KvSourceKind { kDenseSource = 0, kPackedSource = 1, kPagedSource = 2 };

#if FUSED_ATTN_KV_SOURCE == 0
#define FUSED_ATTN_SOURCE_PARAMETERS
#define FUSED_ATTN_SOURCE_ARGUMENTS
#elif FUSED_ATTN_KV_SOURCE == 1
#define FUSED_ATTN_SOURCE_PARAMETERS                                                                                   \
  const device int *cu_seqlens_q [[buffer(kCuSeqlensQBuffer)]],                                                        \
      const device int *cu_seqlens_k [[buffer(kLengthsBuffer)]],
#define FUSED_ATTN_SOURCE_ARGUMENTS , cu_seqlens_q, cu_seqlens_k
#else
#define FUSED_ATTN_SOURCE_PARAMETERS                                                                                   \
  const device int *cu_seqlens_q [[buffer(kCuSeqlensQBuffer)]],                                                        \
      const device int *seqused_k [[buffer(kLengthsBuffer)]],                                                          \
      const device int *block_table [[buffer(kBlockTableBuffer)]],
#define FUSED_ATTN_SOURCE_ARGUMENTS , cu_seqlens_q, seqused_k, block_table
#endif

/// Rows begin, begin + 1, ..., begin + length - 1 of a packed tensor.
struct RowRange {
  uint begin, length;
};

/// A sequence's rows according to cu_seqlens [B + 1], made safe for a tensor of `total` rows.
inline RowRange packed_rows(const device int* cu_seqlens, uint sequence, uint total) {
  const int begin = clamp(cu_seqlens[sequence], 0, int(total));
  const int end = clamp(cu_seqlens[sequence + 1], begin, int(total));
  return {uint(begin), uint(end - begin)};
}

/// Where a key's row and a value's row begin, in elements from the start of their buffers.
struct RowPlace {
  ulong key, value;
  bool exists; ///< false: the table names no block; the offsets are those of block 0
};

/// A sequence, and the rows of one of its kv heads.
struct KvSource {
  uint len_q, len_k;
  uint first_query; ///< packed and paged calls: the row of query, out and lse that is the sequence's query 0
  ulong key_base, value_base;
  ulong key_row, value_row; ///< from one row to the next, in an even run
#if FUSED_ATTN_KV_SOURCE == 2
  ulong key_block, value_block;
  uint num_blocks;
  const device int* blocks; ///< the sequence's row of the table
#endif

#if FUSED_ATTN_KV_SOURCE == 0
  KvSource(const constant AttentionParams& params, uint sequence, uint kv_head) thread {
    len_q = params.len_q;
    len_k = params.len_k;
    first_query = 0;
    key_base = sequence * ulong(params.key.batch) + kv_head * ulong(params.key.head);
    value_base = sequence * ulong(params.value.batch) + kv_head * ulong(params.value.head);
    key_row = params.key.row;
    value_row = params.value.row;
  }
#elif FUSED_ATTN_KV_SOURCE == 1
  KvSource(const constant AttentionParams& params, uint sequence, uint kv_head, const device int* cu_seqlens_q,
           const device int* cu_seqlens_k) thread {
    const RowRange queries = packed_rows(cu_seqlens_q, sequence, params.total_q);
    const RowRange keys = packed_rows(cu_seqlens_k, sequence, params.total_k);
    len_q = queries.length;
    len_k = keys.length;
    first_query = queries.begin;
    key_row = params.key.row;
    value_row = params.value.row;
    key_base = kv_head * ulong(params.key.head) + keys.begin * key_row;
    value_base = kv_head * ulong(params.value.head) + keys.begin * value_row;
  }
#else
  KvSource(const constant AttentionParams& params, uint sequence, uint kv_head, const device int* cu_seqlens_q,
           const device int* seqused_k, const device int* block_table) thread {
    const RowRange queries = packed_rows(cu_seqlens_q, sequence, params.total_q);
    const ulong room = min(ulong(params.max_blocks) * block_size, ulong(kUnlimitedWindow));
    len_q = queries.length;
    len_k = min(uint(max(seqused_k[sequence], 0)), uint(room));
    first_query = queries.begin;
    key_base = kv_head * ulong(params.key.head);
    value_base = kv_head * ulong(params.value.head);
    key_row = params.key.row;
    value_row = params.value.row;
    key_block = params.key_block;
    value_block = params.value_block;
    num_blocks = params.num_blocks;
    blocks = block_table + sequence * ulong(params.max_blocks);
  }
#endif

  /// Whether `rows` rows that begin at a multiple of `rows` are one even run, key_row and value_row apart. A constant.
  static bool has_runs_of(uint rows) { return FUSED_ATTN_KV_SOURCE != kPagedSource || block_size % rows == 0; }

  /// Row `key` of the sequence, below len_k.
  RowPlace place(uint key) const thread {
#if FUSED_ATTN_KV_SOURCE == 2
    const int entry = blocks[key / block_size];
    const bool exists = uint(entry) < num_blocks; // a negative one is large
    const ulong block = exists ? uint(entry) : 0;
    const uint row = key % block_size;
    return {key_base + block * key_block + row * key_row, value_base + block * value_block + row * value_row, exists};
#else
    return {key_base + key * key_row, value_base + key * value_row, true};
#endif
  }
};

/// Where the row of the sequence's query 0 begins in a tensor with these strides (query and out).
inline ulong query_base(const constant Strides& strides, uint sequence, uint head, const thread KvSource& source) {
  return sequence * ulong(strides.batch) + head * ulong(strides.head) + source.first_query * ulong(strides.row);
}

/// Where the sequence's query 0 is in lse.
inline ulong lse_base(const constant AttentionParams& params, uint sequence, uint head, const thread KvSource& source) {
  return sequence * ulong(params.lse_batch) + head * ulong(params.lse_head) + source.first_query;
}

} // namespace fused_attn
