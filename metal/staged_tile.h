// A tile of keys and values in threadgroup memory, which the whole threadgroup fills together.
//
// Threadgroup memory has 32 banks of 4 bytes. The rows of a fragment must begin in different ones, an odd number of 16
// bytes apart: then the 8 rows of 16 bytes that 16-bit elements take fill all banks once. Rows that are an even number
// of 16 bytes long, as most are, lie 16 bytes further apart than they are long.
#pragma once

#include <metal_stdlib>

#include "fragments.h"
#include "kv_source.h"
#include "prefill_shape.h"

namespace fused_attn {
using namespace metal;

/// From row to row, in elements.
constexpr uint staged_stride(uint width) {
  return width + (width * sizeof(OperandElement) / 16 % 2 == 0 ? 16 / sizeof(OperandElement) : 0);
}

constant constexpr uint kKeyStride = staged_stride(kHeadDim);
constant constexpr uint kValueStride = staged_stride(kHeadDimV);
constant constexpr uint kStagedBytes = kKeyTile * (kKeyStride + kValueStride) * sizeof(OperandElement);
static_assert(kStagedBytes <= 32768, "tiles must fit threadgroup memory: take fewer keys");

/// The rows of K of which a lane holds elements in a block of 8 keys: those of its two columns of S.
struct KeyRows {
  const threadgroup OperandElement* first;

  METAL_FUNC bool is_read() const thread { return true; }
  /// Columns d * 8, ..., d * 8 + 7 of the block, transposed.
  METAL_FUNC Fragment<OperandElement> transposed(uint d) const thread {
    return Fragment<OperandElement>(first[d * kFragment], first[d * kFragment + kKeyStride]);
  }
};

/// The row of V of which a lane holds elements.
struct ValueRows {
  const threadgroup OperandElement* row;

  METAL_FUNC bool is_read() const thread { return true; }
  METAL_FUNC Fragment<OperandElement> straight(uint d) const thread { return load_2(row + d * kFragment); }
};

/// What a simdgroup reads of the tile.
struct KvTile {
  const threadgroup OperandElement* keys; ///< of the lane, in the first block
  const threadgroup OperandElement* values;

  METAL_FUNC KvTile(const threadgroup OperandElement* staged_keys, const threadgroup OperandElement* staged_values,
                    LanePlace lane) thread {
    keys = staged_keys + lane.column * kKeyStride + lane.row;
    values = staged_values + lane.row * kValueStride + lane.column;
  }
  template <bool whole> METAL_FUNC KeyRows key_rows(uint block) const thread {
    return {keys + block * kFragment * kKeyStride};
  }
  template <bool whole> METAL_FUNC ValueRows value_rows(uint block) const thread {
    return {values + block * kFragment * kValueStride};
  }
};

/// How a threadgroup's threads share out the rows of a tile: four elements a thread and pass.
template <uint width> struct StagingPlan {
  static constexpr constant uint threads_per_row = width / 4;
  static constexpr constant uint rows_per_pass = kThreads / threads_per_row;
  static constexpr constant uint passes = (kKeyTile + rows_per_pass - 1) / rows_per_pass;
  static_assert(rows_per_pass > 0, "a pass copies at least one row: take more simdgroups");
};

/// Copies rows first_key, ..., first_key + kKeyTile - 1 of K or V. Rows past the sequence's end and rows that its table
/// does not name become zeros: they are hidden, but a weight of 0 times a NaN would not be. `whole`: all rows are
/// there, in one even run.
template <uint width, uint stride, bool is_key, bool whole>
METAL_FUNC void copy_rows(threadgroup OperandElement* target, const device Element* tensor,
                          const thread KvSource& source, uint first_key, uint thread_index) {
  typedef StagingPlan<width> Plan;
  const uint thread_row = thread_index / Plan::threads_per_row;
  const uint column = thread_index % Plan::threads_per_row * 4;
  const ulong row_stride = is_key ? source.key_row : source.value_row;
  ulong first_row = 0;
  if (whole) {
    const RowPlace run = source.place(first_key); // the table is looked at once
    first_row = (is_key ? run.key : run.value) + thread_row * row_stride;
  }
  // Where the threads are no multiple of a row's, those that are left over would begin a row of the next pass.
  if (kThreads % Plan::threads_per_row != 0 && thread_row >= Plan::rows_per_pass) {
    return;
  }
#pragma clang loop unroll(full)
  for (uint pass = 0; pass < Plan::passes; ++pass) {
    const uint row = thread_row + pass * Plan::rows_per_pass;
    if (kKeyTile % Plan::rows_per_pass == 0 || row < kKeyTile) {
      vec<Element, 4> elements = vec<Element, 4>(Element(0.0f));
      if (whole) {
        elements = load_4(tensor + first_row + pass * (Plan::rows_per_pass * row_stride) + column);
      } else if (first_key + row < source.len_k) {
        const RowPlace place = source.place(first_key + row);
        if (place.exists) {
          elements = load_4(tensor + (is_key ? place.key : place.value) + column);
        }
      }
      *reinterpret_cast<threadgroup vec<OperandElement, 4>*>(target + row * stride + column) =
          Convert<OperandElement, Element>::run(elements);
    }
  }
}

/// Fills the tile of keys and values that begins at first_key.
METAL_FUNC void stage_tile(threadgroup OperandElement* keys, threadgroup OperandElement* values,
                           const device Element* key, const device Element* value, const thread KvSource& source,
                           uint first_key, uint thread_index) {
  if (KvSource::has_runs_of(kKeyTile) && first_key + kKeyTile <= source.len_k && source.place(first_key).exists) {
    copy_rows<kHeadDim, kKeyStride, true, true>(keys, key, source, first_key, thread_index);
    copy_rows<kHeadDimV, kValueStride, false, true>(values, value, source, first_key, thread_index);
  } else {
    copy_rows<kHeadDim, kKeyStride, true, false>(keys, key, source, first_key, thread_index);
    copy_rows<kHeadDimV, kValueStride, false, false>(values, value, source, first_key, thread_index);
  }
}

} // namespace fused_attn
