// Where the simdgroups of a threadgroup, which saw different keys of the same rows, bring their results together.
#pragma once

#include <metal_stdlib>

#include "decode_rows.h"
#include "decode_shape.h"
#include "online_softmax.h"

namespace fused_attn {
using namespace metal;

/// Threadgroup memory of the meeting.
struct Meeting {
  threadgroup float* maxima; ///< [kKeyGroups][kRows]
  threadgroup float* sums;
  threadgroup float* columns; ///< [kSimdgroups][kMeetingRows][kMeetingStride]

  static constexpr constant uint kFloats = 2 * kKeyGroups * kRows + kSimdgroups * kMeetingRows * kMeetingStride;

  METAL_FUNC Meeting(threadgroup void* memory) thread {
    columns = static_cast<threadgroup float*>(memory);
    maxima = columns + kSimdgroups * kMeetingRows * kMeetingStride;
    sums = maxima + kKeyGroups * kRows;
  }

  /// One simdgroup's state of a row, for the others to see after a barrier.
  METAL_FUNC void tell(uint key_group, uint row, SoftmaxRow state) const thread {
    maxima[key_group * kRows + row] = state.maximum;
    sums[key_group * kRows + row] = state.sum;
  }
  /// The state of a row after all keys.
  METAL_FUNC SoftmaxRow whole(uint row) const thread {
    float largest = -INFINITY;
#pragma clang loop unroll(full)
    for (uint k = 0; k < kKeyGroups; ++k) {
      largest = max(largest, maxima[k * kRows + row]);
    }
    SoftmaxRow state;
    state.raise(largest);
#pragma clang loop unroll(full)
    for (uint k = 0; k < kKeyGroups; ++k) {
      state.sum += sums[k * kRows + row] * fast::exp2(maxima[k * kRows + row] - state.reduction);
    }
    return state;
  }
  METAL_FUNC threadgroup float* own_columns(uint simdgroup) const thread {
    return columns + simdgroup * (kMeetingRows * kMeetingStride);
  }
  /// Column of a row, added up over the simdgroups that saw the row.
  METAL_FUNC float total(uint row_group, uint row, uint column) const thread {
    float sum = 0.0f;
#pragma clang loop unroll(full)
    for (uint k = 0; k < kKeyGroups; ++k) {
      sum += own_columns(k * kRowGroups + row_group)[row * kMeetingStride + column];
    }
    return sum;
  }
};

/// Stores a lane's neighbouring columns, which begin at a multiple of 16 bytes. `lane_column` is the lane's among those
/// of its row. Lanes are 32 bytes apart where they have four pairs, so that the first halves of all would meet in every
/// other bank; every second lane begins with its second half.
template <uint pairs>
METAL_FUNC void store_pairs(threadgroup float* target, const thread float2 (&columns)[pairs], uint lane_column) {
  if (pairs == 4) {
    const float4 first = float4(columns[0], columns[1]);
    const float4 second = float4(columns[2 % pairs], columns[3 % pairs]);
    const uint begin = lane_column % 2;
    threadgroup float4* quads = reinterpret_cast<threadgroup float4*>(target);
    quads[begin] = select(first, second, bool4(begin != 0));
    quads[1 - begin] = select(second, first, bool4(begin != 0));
    return;
  }
#pragma clang loop unroll(full)
  for (uint i = 0; i + 1 < pairs; i += 2) {
    *reinterpret_cast<threadgroup float4*>(target + 2 * i) = float4(columns[i], columns[i + 1]);
  }
  if (pairs % 2 != 0) {
    *reinterpret_cast<threadgroup float2*>(target + 2 * (pairs - 1)) = columns[pairs - 1];
  }
}

/// What a simdgroup's own sums of weighted values are multiplied by, so that their sum over simdgroups is the result:
/// brings them to a common maximum and normalises. `own` is changed to the state of the row over all keys, sinks
/// included. `sink` is the row's, in base 2.
METAL_FUNC float join(thread SoftmaxRow& own, SoftmaxRow whole, float sink) {
  const float own_maximum = own.maximum;
  if (has_sinks && is_whole) {
    whole.add_sink(sink);
  }
  const float factor = fast::exp2(own_maximum - whole.reduction) * whole.normaliser();
  own = whole;
  return factor;
}

} // namespace fused_attn
