// What becomes of a score between query·key and softmax: scale, softcap, ALiBi, mask and window, in this order; and
// which keys a range of queries can see at all.
//
// Scores are in base 2: everything that is added to a score is multiplied by log2(e), so that exp2 is the exponential.
// Where nothing is added (scores_are_scaled is false), scores stay query·key and the scale is folded into the
// exponential's multiply-add. A negative scale would turn the maximum into a minimum there, so kernels negate query as
// they load it (`negates_query`), and `scale` is positive.
#pragma once

#include <metal_stdlib>

#include "function_constants.h"
#include "kv_source.h"
#include "mask.h"
#include "params.h"

namespace fused_attn {
using namespace metal;

constant constexpr float kLog2E = 1.44269504088896340736f;
constant constexpr float kLn2 = 0.69314718055994530942f;

/// What is added to scores, times log2(e). Below -9e37 that might be more than a float holds, while masks of the lowest
/// number are common, and a row of nothing else sees all its keys: the slope is 1/2 there.
constant constexpr float kBend = 8.507059173023462e37f; // 2^126
inline float to_base_2(float natural) {
  return max(natural * kLog2E, fma(natural, 0.5f, -kBend));
}
/// The inverse, up to rounding.
inline float from_base_2(float score) {
  const float natural = min(score * kLn2, (score + kBend) * 2.0f);
  return natural == -INFINITY ? -FLT_MAX : natural;
}

/// Keys begin, begin + 1, ..., end - 1.
struct KeyRange {
  uint begin, end;
};

/// The rules for one sequence and one query head.
struct ScoreRules {
  float scale;            ///< positive, times log2(e)
  bool negates_query;     ///< the scale is negative: the products are to be those of -query
  float softcap;          ///< times log2(e)
  float scale_to_softcap; ///< |scale| / softcap
  float slope;            ///< of ALiBi, times log2(e)
  int position_offset;    ///< query i sits at position i + position_offset among the keys: for windows
  int distance_offset;    ///< the same for ALiBi, which knows no top-left alignment
  int window_left, window_right;
  uint len_q, len_k;
  const device uchar* mask; ///< of this sequence and head; null without
  ulong mask_row, mask_column;

  /// `alibi_slopes` and `mask` may be unbound where their constants say so.
  ScoreRules(const constant AttentionParams& params, const thread KvSource& source, uint sequence, uint head,
             const device uchar* mask_buffer, const device float* alibi_slopes) thread {
    // A factor of 0 times a hidden score's infinity would be NaN; the smallest normal number does as well.
    scale = max(abs(params.scale) * kLog2E, FLT_MIN);
    negates_query = params.scale < 0.0f;
    softcap = params.softcap * kLog2E;
    scale_to_softcap = has_softcap ? abs(params.scale) / params.softcap : 0.0f;
    slope = has_alibi ? alibi_slopes[sequence * ulong(params.alibi_batch) + head] * kLog2E : 0.0f;
    distance_offset = int(source.len_k) - int(source.len_q);
    position_offset = params.is_top_left != 0 ? 0 : distance_offset;
    window_left = params.window_left;
    window_right = params.window_right;
    len_q = source.len_q;
    len_k = source.len_k;
    if (has_mask) {
      mask = mask_buffer + mask_offset(params, sequence, head);
      mask_row = params.mask.row;
      mask_column = params.mask_column;
    }
  }

  /// Factor on scores in the exponential.
  float exponent_scale() const thread { return scores_are_scaled ? 1.0f : scale; }

  /// The keys that at least one of the queries begin, ..., end - 1 may see, by windows and length. Not empty queries.
  KeyRange visible_keys(uint begin, uint end) const thread {
    if (!limits_keys) {
      return {0, len_k};
    }
    const int first = int(begin) + position_offset - window_left;
    const int last = int(end) - 1 + position_offset + window_right;
    const uint key_end = uint(clamp(last + 1, 0, int(len_k)));
    return {min(uint(max(first, 0)), key_end), key_end};
  }

  /// Whether each of the queries begin, ..., end - 1 sees each of the keys, by windows and length.
  bool sees_all(uint begin, uint end, KeyRange keys) const thread {
    bool all = keys.end <= len_k;
    if (limits_keys) {
      all = all && int(keys.begin) >= int(end) - 1 + position_offset - window_left &&
            int(keys.end) - 1 <= int(begin) + position_offset + window_right;
    }
    return all;
  }

  /// Whether the query may see the key, by windows and length.
  bool sees(uint query, uint key) const thread {
    bool visible = key < len_k;
    if (limits_keys) {
      const int position = int(query) + position_offset;
      visible = visible && int(key) >= position - window_left && int(key) <= position + window_right;
    }
    return visible;
  }

  /// What every score takes, whatever its tile: scale, softcap and ALiBi.
  float changed(float score, uint query, uint key) const thread {
    if (has_softcap) {
      score = softcap * precise::tanh(score * scale_to_softcap);
    } else if (scores_are_scaled) {
      score *= scale;
    }
    if (has_alibi) {
      score -= slope * float(abs(int(query) + distance_offset - int(key)));
    }
    return score;
  }

  /// What a score takes in a tile that its mask or a window cuts through. `score` went through changed().
  float hidden(float score, uint query, uint key, bool tile_is_masked) const thread {
    if (!sees(query, key)) {
      return -INFINITY;
    }
    if (has_mask && tile_is_masked) {
      // Rows past the last query are computed and thrown away; the mask has none.
      const float entry = mask_entry(mask, min(query, len_q - 1) * mask_row + key * mask_column);
      if (entry == -INFINITY) {
        return -INFINITY;
      }
      if (has_additive_mask) {
        score += to_base_2(entry);
      }
    }
    return score;
  }
};

} // namespace fused_attn
