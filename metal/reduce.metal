// Merging of attention over disjoint sets of keys: a softmax over their lse.
//
//  merge_splits  The parts of split decode (fp32) into out and lse; sinks, which the parts do not have, take part once.
//                grid (rows of a head: len_q, or total_q of packed calls; heads; sequences, or 1), kMergeThreads
//                threads, that is kMergeSimdgroups simdgroups for one row. Each finds all weights; they take the parts
//                in turn, four columns a lane, and meet in threadgroup memory: one barrier, 16 * Dv bytes.
//  merge_states  The operator: two states of any dtype and strides.
//                grid (threadgroups that hold len_q * ceil(D / 4) threads, heads, batch), any number of threads; one
//                thread for four columns. No threadgroup memory, no barriers.
//
// A part whose lse is -infinity saw no key and counts for nothing, whatever its out holds: it is not read.
// FUSED_ATTN_HEAD_DIM_V is the number of columns; for merge_splits a multiple of 8.
#include <metal_simdgroup>
#include <metal_stdlib>

#include "function_constants.h"
#include "params.h"

using namespace metal;
using namespace fused_attn;

namespace fused_attn {

typedef FUSED_ATTN_ELEMENT Element;

constant constexpr float kLog2E = 1.44269504088896340736f;
constant constexpr uint kColumns = FUSED_ATTN_HEAD_DIM_V;
constant constexpr uint kQuads = (kColumns + 3) / 4;
constant constexpr uint kLanes = 32;
constant constexpr uint kMergeSimdgroups = kMergeThreads / kLanes;
constant constexpr uint kLaneQuads = (kQuads + kLanes - 1) / kLanes;

/// exp(lse - reference), 0 for a part without keys.
inline float share(float lse, float reference) {
  return lse == -INFINITY ? 0.0f : fast::exp2((lse - reference) * kLog2E);
}

/// What lse are reduced by before exp: the largest, but no infinity.
inline float reference_of(float largest) {
  return largest == -INFINITY ? 0.0f : largest;
}

inline ulong place_of(const constant Strides& strides, uint3 row) {
  return row.z * ulong(strides.batch) + row.y * ulong(strides.head) + row.x * ulong(strides.row);
}

} // namespace fused_attn

[[max_total_threads_per_threadgroup(kMergeThreads)]] kernel void
merge_splits(const device float4* partial_out [[buffer(kPartialOutBuffer)]],
             const device float* partial_lse [[buffer(kPartialLseBuffer)]], device Element* out [[buffer(kOutBuffer)]],
             device float* lse [[buffer(kLseBuffer)]],
             const device float* sinks [[buffer(kSinksBuffer), function_constant(has_sinks)]],
             const constant AttentionParams& params [[buffer(kParamsBuffer)]],
             uint3 row [[threadgroup_position_in_grid]], uint3 rows [[threadgroups_per_grid]],
             uint thread_index [[thread_index_in_threadgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
             uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float4 sums[kMergeSimdgroups][kQuads];
  const ulong all_rows = ulong(rows.x) * rows.y * rows.z;
  const ulong index = (row.z * ulong(rows.y) + row.y) * rows.x + row.x;
  const device float* own_lse = partial_lse + index;

  const float sink = has_sinks ? sinks[row.y] : -INFINITY;
  float largest = -INFINITY;
  for (uint split = lane; split < params.num_splits; split += kLanes) {
    largest = max(largest, own_lse[split * all_rows]);
  }
  largest = max(simd_max(largest), sink);
  const float reference = reference_of(largest);
  float total = 0.0f;
  for (uint split = lane; split < params.num_splits; split += kLanes) {
    total += share(own_lse[split * all_rows], reference);
  }
  total = simd_sum(total) + share(sink, reference);

  float4 own[kLaneQuads];
#pragma clang loop unroll(full)
  for (uint q = 0; q < kLaneQuads; ++q) {
    own[q] = 0.0f;
  }
  for (uint split = simdgroup; split < params.num_splits; split += kMergeSimdgroups) {
    const float weight = share(own_lse[split * all_rows], reference);
    if (weight == 0.0f) {
      continue;
    }
    const device float4* part = partial_out + (split * all_rows + index) * kQuads;
#pragma clang loop unroll(full)
    for (uint q = 0; q < kLaneQuads; ++q) {
      if (q * kLanes + lane < kQuads) {
        own[q] = fma(part[q * kLanes + lane], float4(weight), own[q]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (uint q = 0; q < kLaneQuads; ++q) {
    if (q * kLanes + lane < kQuads) {
      sums[simdgroup][q * kLanes + lane] = own[q];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  if (thread_index < kQuads) {
    float4 sum = sums[0][thread_index];
#pragma clang loop unroll(full)
    for (uint s = 1; s < kMergeSimdgroups; ++s) {
      sum += sums[s][thread_index];
    }
    sum *= total == 0.0f ? 0.0f : 1.0f / total;
    device Element* target = out + place_of(params.out, row) + thread_index * 4;
    target[0] = Element(sum.x);
    target[1] = Element(sum.y);
    target[2] = Element(sum.z);
    target[3] = Element(sum.w);
  }
  if (thread_index == 0) {
    const ulong place = row.z * ulong(params.lse_batch) + row.y * ulong(params.lse_head) + row.x;
    lse[place] = total == 0.0f ? -INFINITY : reference + precise::log(total);
  }
}

kernel void
merge_states(const device Element* out_a [[buffer(kOutABuffer)]], const device float* lse_a [[buffer(kLseABuffer)]],
             const device Element* out_b [[buffer(kOutBBuffer)]], const device float* lse_b [[buffer(kLseBBuffer)]],
             device Element* out [[buffer(kMergedOutBuffer)]], device float* lse [[buffer(kMergedLseBuffer)]],
             const constant MergeStatesParams& params [[buffer(kMergeStatesParamsBuffer)]],
             uint3 thread_index [[thread_position_in_grid]]) {
  const uint3 row = uint3(thread_index.x / kQuads, thread_index.yz);
  const uint first_column = thread_index.x % kQuads * 4;
  if (row.x >= params.len_q) {
    return;
  }
  const float a = lse_a[place_of(params.lse_a, row)];
  const float b = lse_b[place_of(params.lse_b, row)];
  const float reference = reference_of(max(a, b));
  const float share_a = share(a, reference);
  const float share_b = share(b, reference);
  const float total = share_a + share_b;
  const float normaliser = total == 0.0f ? 0.0f : 1.0f / total;

  const device Element* row_a = out_a + place_of(params.out_a, row);
  const device Element* row_b = out_b + place_of(params.out_b, row);
  device Element* target = out + place_of(params.out, row);
#pragma clang loop unroll(full)
  for (uint i = 0; i < 4; ++i) {
    const uint column = first_column + i;
    if (column < kColumns) {
      const float from_a = share_a == 0.0f ? 0.0f : float(row_a[column]) * (share_a * normaliser);
      const float from_b = share_b == 0.0f ? 0.0f : float(row_b[column]) * (share_b * normaliser);
      target[column] = Element(from_a + from_b);
    }
  }
  if (first_column == 0) {
    lse[place_of(params.lse, row)] = total == 0.0f ? -INFINITY : reference + precise::log(total);
  }
}
