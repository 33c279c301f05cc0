// What one writes first: one query row for each simdgroup, a dot product for each score, the lanes' parts added up by
// simd_sum. The yardstick for what matrix products are worth; nothing but benchmarks and tests run it.
//
//  grid         (query tiles, heads): kSimdgroups rows of a head for each threadgroup
//  layout       [heads, length, NAIVE_HEAD_DIM], as many keys as queries
//  threadgroup  NAIVE_SIMDGROUPS simdgroups that share nothing; no threadgroup memory
#include <metal_simdgroup>
#include <metal_stdlib>

using namespace metal;

constant constexpr uint kLanes = 32;
constant constexpr uint kHeadDim = NAIVE_HEAD_DIM;
constant constexpr uint kColumns = kHeadDim / kLanes; ///< of a lane
static_assert(kHeadDim % kLanes == 0, "lanes have equally many columns");

kernel void naive_attention(const device half* query [[buffer(0)]], const device half* key [[buffer(1)]],
                            const device half* value [[buffer(2)]], device half* out [[buffer(3)]],
                            const constant uint& length [[buffer(4)]], const constant float& scale [[buffer(5)]],
                            uint3 group [[threadgroup_position_in_grid]],
                            uint simdgroup [[simdgroup_index_in_threadgroup]],
                            uint lane [[thread_index_in_simdgroup]]) {
  const uint row = group.x * NAIVE_SIMDGROUPS + simdgroup;
  if (row >= length) {
    return;
  }
  const ulong head = group.y * ulong(length) * kHeadDim + lane;
  float own_query[kColumns], sums[kColumns];
#pragma unroll
  for (uint i = 0; i < kColumns; ++i) {
    own_query[i] = float(query[head + row * kHeadDim + i * kLanes]);
    sums[i] = 0.0f;
  }
  float maximum = -INFINITY;
  float total = 0.0f;
  for (uint k = 0; k < length; ++k) {
    const device half* key_row = key + head + k * kHeadDim;
    const device half* value_row = value + head + k * kHeadDim;
    float score = 0.0f;
#pragma unroll
    for (uint i = 0; i < kColumns; ++i) {
      score = fma(own_query[i], float(key_row[i * kLanes]), score);
    }
    score = simd_sum(score) * scale;
    const float raised = max(maximum, score);
    const float factor = exp(maximum - raised);
    const float weight = exp(score - raised);
    maximum = raised;
    total = fma(total, factor, weight);
#pragma unroll
    for (uint i = 0; i < kColumns; ++i) {
      sums[i] = fma(sums[i], factor, weight * float(value_row[i * kLanes]));
    }
  }
#pragma unroll
  for (uint i = 0; i < kColumns; ++i) {
    out[head + row * kHeadDim + i * kLanes] = half(sums[i] / total);
  }
}
