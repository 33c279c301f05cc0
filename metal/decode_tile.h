// A tile of keys and values as the matrix form of decode reads it: in device memory, or staged in threadgroup memory.
//
// Either way a lane reads, of every block of 8 keys, the row that it has in fragments of K and of V (LanePlace::row),
// in pieces of 16 bytes. Rows outside of the keys that some row sees are not read, and zeros.
#pragma once

#include <metal_stdlib>

#include "decode_rows.h"
#include "decode_shape.h"
#include "fragments.h"
#include "kv_source.h"
#include "wide_rows.h"

namespace fused_attn {
using namespace metal;

/// In device memory. A whole tile lies within the visible keys.
template <bool whole> struct DirectTile {
  const device Element* keys[kKeyBlocks]; ///< the lane's row of each block
  const device Element* values[kKeyBlocks];
  bool is_read[kKeyBlocks];
  ushort row_lane; ///< among the lanes of the row

  METAL_FUNC DirectTile(const device Element* key, const device Element* value, const thread KvSource& source,
                        uint first_key, KeyRange visible, LanePlace lane) thread {
    const TileRows<kKeyTile> rows(source, first_key);
    row_lane = lane.column / 2;
#pragma clang loop unroll(full)
    for (uint b = 0; b < kKeyBlocks; ++b) {
      const uint row = b * kFragment + lane.row;
      is_read[b] = whole || (first_key + row >= visible.begin && first_key + row < visible.end);
      if (is_read[b]) {
        const RowPlace place = rows.place(row);
        keys[b] = key + place.key;
        values[b] = value + place.value;
        is_read[b] = place.exists;
      }
    }
  }
  /// Whether all of a tile is read for sure: the case to which the compiler leaves no branch.
  METAL_FUNC static bool reads_all() { return whole && FUSED_ATTN_KV_SOURCE != kPagedSource; }

  /// The lane's part of n fragments of a row, of which `first` is the first.
  template <uint n> METAL_FUNC uint4 key_words(uint block, uint first) const thread {
    return reads_all() || is_read[block] ? words<n>(keys[block], first) : uint4(0);
  }
  template <uint n> METAL_FUNC uint4 value_words(uint block, uint first) const thread {
    return reads_all() || is_read[block] ? words<n>(values[block], first) : uint4(0);
  }
  template <uint n> METAL_FUNC uint4 words(const device Element* row, uint first) const thread {
    return Words<n * sizeof(Fragment<Element>)>::load(row + first * kFragment + row_lane * (2 * n));
  }
};

#if FUSED_ATTN_DECODE_IS_STAGED
constant constexpr uint kStagedPadding = 16; ///< bytes between rows, against bank conflicts
constant constexpr uint kKeyStride = kHeadDim + kStagedPadding / sizeof(Element);
constant constexpr uint kValueStride = kHeadDimV + kStagedPadding / sizeof(Element);
constant constexpr uint kStagedBytes = kStepKeys * (kKeyStride + kValueStride) * sizeof(Element);

/// In threadgroup memory.
struct StagedTile {
  const threadgroup Element *keys, *values; ///< the lane's row in the first block
  ushort row_lane;

  METAL_FUNC StagedTile(const threadgroup void* staged, uint key_group, LanePlace lane) thread {
    const uint row = key_group * kKeyTile + lane.row;
    const threadgroup Element* first = static_cast<const threadgroup Element*>(staged);
    keys = first + row * kKeyStride;
    values = first + kStepKeys * kKeyStride + row * kValueStride;
    row_lane = lane.column / 2;
  }
  template <uint n> METAL_FUNC uint4 key_words(uint block, uint first) const thread {
    return words<n>(keys + block * (kFragment * kKeyStride), first);
  }
  template <uint n> METAL_FUNC uint4 value_words(uint block, uint first) const thread {
    return words<n>(values + block * (kFragment * kValueStride), first);
  }
  template <uint n> METAL_FUNC uint4 words(const threadgroup Element* row, uint first) const thread {
    return Words<n * sizeof(Fragment<Element>)>::load(row + first * kFragment + row_lane * (2 * n));
  }
};

/// 16-byte parts of the rows of K or V that a thread brings to threadgroup memory.
template <uint width, uint stride, bool is_key> struct StagedRows {
  static constexpr constant uint kRowLoads = width / kLoadElements;
  static constexpr constant uint kLoads = (kStepKeys * kRowLoads + kThreads - 1) / kThreads; ///< of a thread
  uint4 words[kLoads];

  METAL_FUNC static bool has(uint index) {
    return kStepKeys * kRowLoads % kThreads == 0 || index < kStepKeys * kRowLoads;
  }

  METAL_FUNC void load(const device Element* tensor, const thread TileRows<kStepKeys>& rows, KeyRange visible,
                       uint thread_index) thread {
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoads; ++i) {
      const uint index = i * kThreads + thread_index;
      const uint row = index / kRowLoads;
      const uint key = rows.first_key + row;
      words[i] = uint4(0);
      if (has(index) && key >= visible.begin && key < visible.end) {
        const RowPlace place = rows.place(row);
        if (place.exists) {
          words[i] =
              Words<kLoadBytes>::load(tensor + (is_key ? place.key : place.value) + index % kRowLoads * kLoadElements);
        }
      }
    }
  }
  METAL_FUNC void store(threadgroup Element* target, uint thread_index) const thread {
#pragma clang loop unroll(full)
    for (uint i = 0; i < kLoads; ++i) {
      const uint index = i * kThreads + thread_index;
      if (has(index)) {
        *reinterpret_cast<threadgroup uint4*>(target + index / kRowLoads * stride + index % kRowLoads * kLoadElements) =
            words[i];
      }
    }
  }
};

/// Loads a step's keys and values into registers, and stores them to threadgroup memory.
struct Stager {
  const device Element *key, *value;
  KeyRange visible;
  uint thread_index;
  StagedRows<kHeadDim, kKeyStride, true> keys;
  StagedRows<kHeadDimV, kValueStride, false> values;

  METAL_FUNC Stager(const device Element* key_buffer, const device Element* value_buffer, KeyRange visible_keys,
                    uint index) thread {
    key = key_buffer;
    value = value_buffer;
    visible = visible_keys;
    thread_index = index;
  }
  METAL_FUNC void load(const thread KvSource& source, uint first_key) thread {
    const TileRows<kStepKeys> rows(source, first_key);
    keys.load(key, rows, visible, thread_index);
    values.load(value, rows, visible, thread_index);
  }
  METAL_FUNC void store(threadgroup void* staged) const thread {
    threadgroup Element* first = static_cast<threadgroup Element*>(staged);
    keys.store(first, thread_index);
    values.store(first + kStepKeys * kKeyStride, thread_index);
  }
};
#endif

} // namespace fused_attn
