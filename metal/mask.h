// Reading a dense mask, and the labels of its tiles.
#pragma once

#include <metal_stdlib>

#include "function_constants.h"
#include "params.h"

namespace fused_attn {
using namespace metal;

/// Labels of mask_tiles.metal.
enum MaskTileLabel : uchar { kSkipTile = 0, kMixedTile = 1, kPlainTile = 2 };

/// An additive mask's entry, or 0 / -infinity of a bool one.
inline float mask_entry(const device uchar* mask, ulong index) {
  switch (mask_kind) {
  case kBoolMask:
    return mask[index] != 0 ? 0.0f : -INFINITY;
  case kFloatMask:
    return reinterpret_cast<const device float*>(mask)[index];
  case kHalfMask:
    return float(reinterpret_cast<const device half*>(mask)[index]);
  default:
    return float(reinterpret_cast<const device bfloat*>(mask)[index]);
  }
}

/// Heads that have masks of their own.
inline uint mask_heads_of(const constant AttentionParams& params) {
  return params.mask.head != 0 ? params.num_heads : 1;
}

/// Where a mask's entry for query 0 and key 0 is, in bytes.
inline ulong mask_offset(const constant AttentionParams& params, uint sequence, uint head) {
  const ulong item = mask_kind == kBoolMask ? 1 : mask_kind == kFloatMask ? 4 : 2;
  return item * (sequence * ulong(params.mask.batch) + head * ulong(params.mask.head));
}

} // namespace fused_attn
