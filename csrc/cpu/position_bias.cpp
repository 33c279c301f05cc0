#include "position_bias.h"

#include "elements.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace fused_attn::cpu {

Positions::Positions(const ScoreRules& rules, int64_t len_q, int64_t len_k)
    : len_q(len_q), len_k(len_k), offset(rules.position_offset(len_q, len_k)), window_left(rules.window_left),
      window_right(rules.window_right) {}

Range Positions::queries_of(Range keys) const {
  // key j is visible from position i + offset when i + offset - window_left <= j <= i + offset + window_right
  const int64_t begin = std::max<int64_t>(0, keys.begin - window_right - offset);
  const int64_t end = std::min(len_q, keys.end - 1 + window_left - offset + 1);
  return keys.size() == 0 ? Range{0, 0} : Range{begin, std::max(begin, end)};
}

Range Positions::keys_of(Range queries) const {
  const int64_t begin = std::max<int64_t>(0, queries.begin + offset - window_left);
  const int64_t end = std::min(len_k, queries.end - 1 + offset + window_right + 1);
  return queries.size() == 0 ? Range{0, 0} : Range{begin, std::max(begin, end)};
}

bool Positions::all_visible(Range queries, Range keys) const {
  return keys.begin >= queries.end - 1 + offset - window_left && keys.end - 1 <= queries.begin + offset + window_right;
}

PositionBias::PositionBias(const ScoreRules& rules, int64_t max_len_q, int64_t max_len_k)
    : has_alibi_(rules.alibi_slopes.defined()) {
  // Distances run from key 0 as the last query sees it to the last key as query 0 sees it.
  const int64_t offset = rules.position_offset(max_len_q, max_len_k);
  // ALiBi is bottom-right aligned whatever the causal alignment: this is how far the two differ.
  const int64_t alibi_shift = max_len_k - max_len_q - offset;
  first_distance_ = -(max_len_q - 1 + offset);
  const int64_t count = std::max<int64_t>(0, max_len_q + max_len_k - 1);
  if (!has_alibi_ && !rules.limits_keys()) {
    return;
  }
  const Tensor slopes = has_alibi_ ? rules.alibi_slopes.contiguous() : at::zeros({1, 1});
  entries_ = at::empty({slopes.size(0), slopes.size(1), count}, at::kFloat);
  const float* slope = elements_of<float>(slopes);
  float* entry = entries_.mutable_data_ptr<float>();
  for (int64_t row = 0; row < slopes.numel(); ++row) {
    for (int64_t t = 0; t < count; ++t) {
      const int64_t distance = first_distance_ + t;
      const bool visible = distance >= -rules.window_left && distance <= rules.window_right;
      *entry++ = visible ? -slope[row] * static_cast<float>(std::abs(distance - alibi_shift))
                         : -std::numeric_limits<float>::infinity();
    }
  }
}

PositionBias PositionBias::of_sequence(int64_t n) const {
  PositionBias one = *this;
  if (entries_.defined() && entries_.size(0) > 1) {
    one.entries_ = entries_.narrow(0, n, 1);
  }
  return one;
}

PositionBias PositionBias::of_heads(int64_t begin, int64_t count) const {
  PositionBias some = *this;
  if (entries_.defined() && entries_.size(1) > 1) {
    some.entries_ = entries_.narrow(1, begin, count);
  }
  return some;
}

bool PositionBias::applies(const Positions& positions, Range queries, Range keys) const {
  return has_alibi_ || !positions.all_visible(queries, keys);
}

Tensor PositionBias::reversed_view(const Positions& positions, Range queries, Range keys) const {
  const int64_t distance = keys.begin - (queries.end - 1 + positions.offset);
  return entries_.as_strided({entries_.size(0), entries_.size(1), queries.size(), keys.size()},
                             {entries_.stride(0), entries_.stride(1), 1, 1},
                             entries_.storage_offset() + distance - first_distance_);
}

} // namespace fused_attn::cpu
