// What host code and kernels agree on: the parameters of a launch, and the numbers of its buffers and function constants.
//
// Included by C++ and by Metal. The structs are plain and packed by hand (64-bit members first), so that both lay them out
// alike; they reach the kernel by setBytes.
#pragma once

#ifdef __METAL_VERSION__
#include <metal_stdlib>
#else
#include <cstdint>
#endif

namespace fused_attn {

/// Buffers of the attention kernels. An operand that a function constant says is absent is not bound.
enum AttentionBuffer : uint32_t {
  kQueryBuffer = 0,
  kKeyBuffer = 1,
  kValueBuffer = 2,
  kOutBuffer = 3,
  kLseBuffer = 4,
  kParamsBuffer = 5,
  kMaskBuffer = 6,      ///< bool or additive, see AttentionConstant
  kMaskTilesBuffer = 7, ///< labels of mask_tiles.metal
  kAlibiSlopesBuffer = 8,
  kSinksBuffer = 9,
  kCuSeqlensQBuffer = 10, ///< int32 [B + 1], packed and paged calls
  kLengthsBuffer = 11,    ///< packed: cu_seqlens_k, int32 [B + 1]; paged: seqused_k, int32 [B]
  kBlockTableBuffer = 12, ///< int32 [B, max_blocks], paged calls
  kPartialOutBuffer = 13, ///< fp32, of split decode
  kPartialLseBuffer = 14,
};

/// Function constants of the attention kernels.
enum AttentionConstant : uint32_t {
  kMaskKindConstant = 0,   ///< a MaskKind
  kLimitsKeysConstant = 1, ///< whether a window (causal included) hides keys
  kHasAlibiConstant = 2,
  kHasSoftcapConstant = 3,
  kHasSinksConstant = 4,
  kBlockSizeConstant = 5, ///< tokens of a block, paged calls
  kIsSplitConstant = 6,     ///< decode: num_splits is not 1; partial results are written, not out and lse
  kAlignedRowsConstant = 7, ///< decode: all rows of key and value begin at multiples of 16 bytes
  kIsPartConstant = 8,      ///< prefill and its labels: a dispatch does a part of a grid, which begins at first_x, ...
};

/// What attn_mask holds.
enum MaskKind : uint32_t { kNoMask = 0, kBoolMask = 1, kFloatMask = 2, kHalfMask = 3, kBfloatMask = 4 };

/// Distances in elements between neighbours of an operand. The last dimension has stride 1.
struct Strides {
  int64_t batch; ///< 0 in packed calls, where a sequence starts at a row
  int64_t head;
  int64_t row;
};

/// A launch of an attention kernel.
struct AttentionParams {
  Strides query, key, value, out;
  Strides mask;       ///< a dimension of size 1 has stride 0
  int64_t mask_column; ///< stride of the keys, 0 or more
  int64_t key_block, value_block; ///< paged: from one block to the next; `row` is from token to token in a block
  int64_t lse_batch, lse_head; ///< of lse; rows are neighbours
  uint32_t num_heads;
  uint32_t queries_per_kv_head; ///< num_heads / num_kv_heads
  uint32_t len_q;               ///< dense calls; else the longest
  uint32_t len_k;               ///< dense calls
  uint32_t total_q;             ///< packed and paged calls: rows of query
  uint32_t total_k;             ///< packed calls: rows of key
  uint32_t max_blocks;          ///< paged calls: columns of block_table
  uint32_t num_blocks;          ///< paged calls: blocks of the cache; entries of block_table outside are read as block 0
  uint32_t alibi_batch;         ///< stride of alibi_slopes' batch dimension, 0 or num_heads
  int32_t window_left;          ///< key j is visible from position p where p - window_left <= j <= p + window_right
  int32_t window_right;         ///< both below 2^30: kUnlimitedWindow hides nothing
  uint32_t is_top_left;         ///< query i sits at position i in place of i + len_k - len_q
  float scale;                  ///< factor on query . key, without log2(e)
  float softcap;
  uint32_t num_splits;          ///< decode: parts that a sequence's keys are split into
  uint32_t keys_per_split;      ///< decode: at least so many keys for a part; parts of a longer sequence are larger
  uint32_t first_x, first_y, first_z; ///< the grid's threadgroup at which a dispatch begins, see kIsPartConstant
};

enum : int32_t { kUnlimitedWindow = 1 << 30 };

/// Threads of a threadgroup of merge_splits, and of label_mask_tiles.
enum : uint32_t { kMergeThreads = 128, kLabelThreads = 128 };

/// Buffers of merge_states.
enum MergeStatesBuffer : uint32_t {
  kOutABuffer = 0,
  kLseABuffer = 1,
  kOutBBuffer = 2,
  kLseBBuffer = 3,
  kMergedOutBuffer = 4,
  kMergedLseBuffer = 5,
  kMergeStatesParamsBuffer = 6,
};

/// A launch of merge_states. In packed calls the batch is 1.
struct MergeStatesParams {
  Strides out_a, out_b, out; ///< in elements, as those of lse
  Strides lse_a, lse_b, lse;
  uint32_t len_q; ///< rows of a head
};

/// Buffers of reshape_and_cache and copy_blocks.
enum CacheBuffer : uint32_t {
  kNewKeyBuffer = 0,
  kNewValueBuffer = 1,
  kKeyCacheBuffer = 2,
  kValueCacheBuffer = 3,
  kMappingBuffer = 4, ///< slot_mapping or block_mapping, int64
  kCacheParamsBuffer = 5,
};

/// Distances in bytes between neighbours in a cache [num_blocks, block_size, num_kv_heads, head_dim].
struct CacheStrides {
  int64_t block;
  int64_t token; ///< within a block
  int64_t head;
};

/// A launch of reshape_and_cache. All strides are in bytes.
struct ReshapeAndCacheParams {
  int64_t key_token, key_head, value_token, value_head;
  CacheStrides key_cache, value_cache;
  uint32_t num_kv_heads;
  uint32_t row_bytes;  ///< head_dim elements
  uint32_t unit_bytes; ///< 16, 4 or 2: divides row_bytes, all strides, and the offsets that the buffers are bound with
  uint32_t block_size;
  uint32_t num_blocks;
};

/// A launch of copy_blocks.
struct CopyBlocksParams {
  CacheStrides key_cache, value_cache;
  uint32_t num_kv_heads;
  uint32_t row_bytes;
  uint32_t unit_bytes; ///< as in ReshapeAndCacheParams
  uint32_t block_size;
  uint32_t num_blocks;
};

} // namespace fused_attn
