// What the three forwards have in common on MPS: from a call's sizes and operands to its kernels.
#pragma once

#include "../attention_args.h"
#include "../kernel_plan.h"

#include <ATen/core/Tensor.h>

#include <string_view>
#include <tuple>

namespace fused_attn::mps {

using Result = std::tuple<Tensor, Tensor>;

/// A call on its way to the kernels. The operator fills in what depends on its layout; head dims are padded already.
struct AttentionCall {
  AttentionProblem problem{};
  AttentionParams params{};
  Tensor query, key, value;
  Tensor out; ///< of the padded head_dim_v
  Tensor lse;
  Tensor mask;         ///< dense calls, or undefined
  Tensor cu_seqlens_q; ///< packed and paged calls
  Tensor lengths;      ///< packed: cu_seqlens_k; paged: seqused_k
  Tensor block_table;  ///< paged calls
};

/// Distance between neighbours along a dimension; 0 where there are none.
inline int64_t stride_along(const Tensor& tensor, int64_t dim) {
  return tensor.size(dim) == 1 ? 0 : tensor.stride(dim);
}

Element element_of(const Tensor& tensor);

/// A size as the kernels take it, refused where it is no uint32 or a length that positions cannot count.
uint32_t kernel_size(std::string_view op, const char* what, int64_t size);

/// `tensor` with its last dimension filled up with zeros to a multiple of kHeadDimMultiple: itself, if it is one.
Tensor with_padded_head_dim(const Tensor& tensor);
/// Whether out of this head dim has to be computed wider than it is, and copied.
inline bool is_padded(int64_t head_dim) {
  return head_dim % kHeadDimMultiple != 0;
}

/// What a call that has no keys returns: zeros, and of the logits only the sinks'. `lse` has the heads in dimension
/// `heads`.
void fill_without_keys(Tensor& out, Tensor& lse, int64_t heads, const ScoreRules& rules);

/// Plans the call and encodes its kernels.
void attend(AttentionCall& call, const ScoreRules& rules);

} // namespace fused_attn::mps
