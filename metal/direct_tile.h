// A tile of keys and values that stays in device memory: lanes load their own elements of every fragment.
//
// Where a lane's rows are is found once for the tile (dense, packed, blocks that hold whole tiles), once for 8 keys
// (blocks that hold whole fragments), or row by row.
#pragma once

#include <metal_stdlib>

#include "fragments.h"
#include "kv_source.h"
#include "prefill_shape.h"

namespace fused_attn {
using namespace metal;

/// The rows of K of which a lane holds elements in a block of 8 keys: those of its two columns of S.
struct KeyRows {
  const device Element *first, *second;
  bool has_first, has_second;

  /// Whether there is something to read in this block. Blocks that the table does not name are zeros.
  METAL_FUNC bool is_read() const thread { return !KvSource::has_runs_of(kFragment) || has_first; }
  /// Columns d * 8, ..., d * 8 + 7 of the block, transposed.
  METAL_FUNC Fragment<Element> transposed(uint d) const thread {
    Fragment<Element> pair = Fragment<Element>(first[d * kFragment], second[d * kFragment]);
    if (!KvSource::has_runs_of(kFragment)) {
      pair.x = has_first ? pair.x : Element(0.0f);
      pair.y = has_second ? pair.y : Element(0.0f);
    }
    return pair;
  }
};

/// The row of V of which a lane holds elements.
struct ValueRows {
  const device Element* row;
  bool has_row;

  METAL_FUNC bool is_read() const thread { return !KvSource::has_runs_of(kFragment) || has_row; }
  METAL_FUNC Fragment<Element> straight(uint d) const thread {
    Fragment<Element> pair = load_2(row + d * kFragment);
    if (!KvSource::has_runs_of(kFragment)) {
      pair = has_row ? pair : Fragment<Element>(Element(0.0f));
    }
    return pair;
  }
};

/// What a simdgroup reads of the tile.
struct KvTile {
  const device Element *keys, *values; ///< of the buffers, at the lane's column of a row: K is read transposed
  KvSource source;
  uint first_key;
  LanePlace lane;
  RowPlace run; ///< of first_key, where the tile is one run

  METAL_FUNC KvTile(const device Element* key, const device Element* value, const thread KvSource& kv_source,
                    uint first, LanePlace place) thread : source(kv_source) {
    keys = key + place.row;
    values = value + place.column;
    first_key = first;
    lane = place;
    if (KvSource::has_runs_of(kKeyTile)) {
      run = source.place(first_key);
    }
  }

  /// `whole`: all kKeyTile rows are there.
  template <bool whole> METAL_FUNC KeyRows key_rows(uint block) const thread {
    const uint block_key = first_key + block * kFragment;
    const uint last = whole ? kFragment : source.len_k - 1 - block_key; // rows past it are hidden: the last one will do
    if (KvSource::has_runs_of(kFragment)) {
      const RowPlace place = run_of(block);
      const device Element* start = keys + place.key;
      if (whole) {
        const device Element* first = start + lane.column * source.key_row;
        return {first, first + source.key_row, place.exists, place.exists};
      }
      return {start + min(uint(lane.column), last) * source.key_row,
              start + min(uint(lane.column) + 1, last) * source.key_row, place.exists, place.exists};
    }
    const RowPlace first = source.place(block_key + min(uint(lane.column), last));
    const RowPlace second = source.place(block_key + min(uint(lane.column) + 1, last));
    return {keys + first.key, keys + second.key, first.exists, second.exists};
  }

  template <bool whole> METAL_FUNC ValueRows value_rows(uint block) const thread {
    const uint block_key = first_key + block * kFragment;
    const uint last = whole ? kFragment : source.len_k - 1 - block_key;
    if (KvSource::has_runs_of(kFragment)) {
      const RowPlace place = run_of(block);
      const device Element* start = values + place.value;
      if (whole) {
        return {start + lane.row * source.value_row, place.exists};
      }
      return {start + min(uint(lane.row), last) * source.value_row, place.exists};
    }
    const RowPlace place = source.place(block_key + min(uint(lane.row), last));
    return {values + place.value, place.exists};
  }

  /// Where the block's first row is.
  METAL_FUNC RowPlace run_of(uint block) const thread {
    if (KvSource::has_runs_of(kKeyTile)) {
      return {run.key + block * (kFragment * source.key_row), run.value + block * (kFragment * source.value_row),
              run.exists};
    }
    return source.place(first_key + block * kFragment);
  }
};

} // namespace fused_attn
