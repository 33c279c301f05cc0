// Online softmax of a row, in base 2: a running maximum, and the running sum of exponentials relative to it.
//
// The maximum need not be the largest score so far, only close to it: weights, sum and output all carry the same
// factor, which cancels in the end. So it is moved, and sum and output rescaled, only when a score exceeds it by more
// than kMaximumSlack; weights then stay below 2^8, far from what fp32 can hold. (The idea is FlashAttention-4's.) After
// its first tiles a row hardly ever rescales, and as long as no row does, the lanes of a row need not even exchange
// their maxima.
#pragma once

#include <metal_stdlib>

#include "score_rules.h"

namespace fused_attn {
using namespace metal;

constant constexpr float kMaximumSlack = 8.0f;

/// `maximum` is that of the row in all its lanes; `sum` may be a lane's own part of the row's.
struct SoftmaxRow {
  float maximum = -INFINITY;
  float sum = 0.0f;
  /// What scores are reduced by before exp2: the maximum, but 0 in place of -infinity, since -inf - (-inf) is no
  /// number.
  float reduction = 0.0f;

  /// Whether a (scaled) score is too far above the maximum.
  bool is_exceeded_by(float largest_score) const thread { return largest_score > maximum + kMaximumSlack; }

  /// Moves the maximum up to a (scaled) score, and returns the factor that weights so far are to be multiplied by.
  float raise(float largest_score) thread {
    const float raised = max(maximum, largest_score);
    const float factor = maximum == -INFINITY ? 0.0f : fast::exp2(maximum - raised);
    maximum = raised;
    reduction = raised == -INFINITY ? 0.0f : raised;
    sum *= factor;
    return factor;
  }

  /// Adds one logit that has no value, in base 2, and returns the factor for the output. `sum` must be the row's.
  float add_sink(float logit) thread {
    if (logit == -INFINITY) {
      return 1.0f;
    }
    const float factor = raise(logit);
    sum += fast::exp2(logit - maximum);
    return factor;
  }

  /// The factor that makes sums of weighted values an average; 0 for a row that sees nothing.
  float normaliser() const thread { return sum == 0.0f ? 0.0f : 1.0f / sum; }

  /// Natural logarithm of the sum of exponentials.
  float log_sum_exp() const thread { return sum == 0.0f ? -INFINITY : from_base_2(maximum + precise::log2(sum)); }
};

} // namespace fused_attn
