// Merging the attention over disjoint sets of keys: softmax over their denominators.
#pragma once

#include <ATen/core/Tensor.h>

namespace fused_attn::cpu {

using at::Tensor;

struct MergeWeights {
  Tensor weights; ///< the share of each part in the whole, of the shape of the parts' lse; 0 where it saw no key
  Tensor lse;     ///< of the whole: the parts' without their dimension
};

/// For parts along dimension `dim` of lse, fp32.
MergeWeights merge_weights(const Tensor& lse, int64_t dim);

} // namespace fused_attn::cpu
