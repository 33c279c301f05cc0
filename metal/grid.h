// Where a dispatch is in its launch's grid: the host cuts a long grid, and dispatches its parts one by one.
#pragma once

#include <metal_stdlib>

#include "function_constants.h"
#include "params.h"

namespace fused_attn {
using namespace metal;

/// The threadgroup of the grid at which the dispatch begins.
inline uint3 first_threadgroup(const constant AttentionParams& params) {
  return is_part ? uint3(params.first_x, params.first_y, params.first_z) : uint3(0);
}

} // namespace fused_attn
