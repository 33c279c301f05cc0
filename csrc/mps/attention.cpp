#include "attention.h"

#include "../check.h"
#include "launch.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

namespace fused_attn::mps {
namespace {

/// A window as the kernels take it: no sequence has as many keys as kUnlimitedWindow.
int32_t kernel_window(int64_t window) {
  return static_cast<int32_t>(std::min<int64_t>(window, kUnlimitedWindow));
}

MaskKind mask_kind(const Tensor& mask) {
  if (!mask.defined()) {
    return kNoMask;
  }
  switch (mask.scalar_type()) {
  case at::kBool:
    return kBoolMask;
  case at::kHalf:
    return kHalfMask;
  case at::kBFloat16:
    return kBfloatMask;
  default:
    return kFloatMask;
  }
}

/// The rules, as the kernels take them.
void set_rules(AttentionCall& call, const ScoreRules& rules) {
  AttentionParams& params = call.params;
  params.window_left = kernel_window(rules.window_left);
  params.window_right = kernel_window(rules.window_right);
  params.is_top_left = rules.top_left ? 1 : 0;
  params.scale = static_cast<float>(rules.scale);
  params.softcap = static_cast<float>(rules.softcap);
  params.alibi_batch = rules.alibi_slopes.defined() && rules.alibi_slopes.size(0) > 1
                           ? static_cast<uint32_t>(call.problem.num_heads)
                           : 0;

  AttentionProblem& problem = call.problem;
  problem.window_left = params.window_left;
  problem.window_right = params.window_right;
  problem.is_top_left = rules.top_left;
  problem.mask = mask_kind(call.mask);
  problem.limits_keys = rules.limits_keys();
  problem.has_alibi = rules.alibi_slopes.defined();
  problem.has_softcap = rules.softcap > 0;
  problem.has_sinks = rules.sinks.defined();
}

/// Whether all rows of key and value begin at multiples of 16 bytes.
bool has_aligned_rows(const AttentionCall& call) {
  const AttentionParams& params = call.params;
  const int64_t item = call.key.element_size();
  const auto is_aligned = [&](const Tensor& tensor, const Strides& strides, int64_t block) {
    constexpr int64_t kAlignment = 16;
    const int64_t offsets[] = {tensor.storage_offset(), strides.batch, strides.head, strides.row, block};
    return std::all_of(std::begin(offsets), std::end(offsets),
                       [&](int64_t offset) { return offset * item % kAlignment == 0; });
  };
  return is_aligned(call.key, params.key, params.key_block) && is_aligned(call.value, params.value, params.value_block);
}

void set_heads(AttentionCall& call) {
  const AttentionProblem& problem = call.problem;
  call.params.num_heads = static_cast<uint32_t>(problem.num_heads);
  call.params.queries_per_kv_head = static_cast<uint32_t>(problem.num_heads / problem.num_kv_heads);
}

/// The operands that all attention kernels share.
void bind_operands(Dispatch& dispatch, const AttentionCall& call, const Tensor& alibi_slopes, const Tensor& sinks) {
  dispatch.bind(kQueryBuffer, call.query)
      .bind(kKeyBuffer, call.key)
      .bind(kValueBuffer, call.value)
      .bind(kMaskBuffer, call.mask)
      .bind(kAlibiSlopesBuffer, alibi_slopes)
      .bind(kSinksBuffer, sinks)
      .bind(kCuSeqlensQBuffer, call.cu_seqlens_q)
      .bind(kLengthsBuffer, call.lengths)
      .bind(kBlockTableBuffer, call.block_table)
      .bind_params(kParamsBuffer, call.params);
}

} // namespace

Element element_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
  case at::kHalf:
    return Element::kHalf;
  case at::kBFloat16:
    return Element::kBfloat;
  default:
    return Element::kFloat;
  }
}

uint32_t kernel_size(std::string_view op, const char* what, int64_t size) {
  // Below 2^30, so that positions and their differences are int32 in the kernels, windows included.
  FUSED_ATTN_CHECK(size < kUnlimitedWindow, op, what, " must be less than ", int64_t{kUnlimitedWindow},
                   " on the mps device, but is ", size, "; split the call");
  return static_cast<uint32_t>(size);
}

Tensor with_padded_head_dim(const Tensor& tensor) {
  const int64_t excess = tensor.size(-1) % kHeadDimMultiple;
  return excess == 0 ? tensor : at::constant_pad_nd(tensor, {0, kHeadDimMultiple - excess});
}

void fill_without_keys(Tensor& out, Tensor& lse, int64_t heads, const ScoreRules& rules) {
  out.zero_();
  if (!rules.sinks.defined()) {
    lse.fill_(-std::numeric_limits<double>::infinity());
    return;
  }
  std::vector<int64_t> along_heads(lse.dim(), 1);
  along_heads[heads] = rules.sinks.numel();
  lse.copy_(rules.sinks.contiguous().view(along_heads).expand(lse.sizes()));
}

void attend(AttentionCall& call, const ScoreRules& rules) {
  set_heads(call);
  set_rules(call, rules);
  call.problem.has_aligned_rows = has_aligned_rows(call);
  const AttentionPlan plan = plan_attention(call.problem, current_gpu(), max_dispatch_seconds());
  call.params.num_splits = static_cast<uint32_t>(plan.num_splits);
  call.params.keys_per_split = static_cast<uint32_t>(plan.keys_per_split);

  const Tensor alibi_slopes = rules.alibi_slopes.defined() ? rules.alibi_slopes.contiguous() : Tensor();
  const Tensor sinks = rules.sinks.defined() ? rules.sinks.to(at::kFloat).contiguous() : Tensor();
  std::vector<Dispatch> dispatches;
  Tensor labels;
  if (plan.mask_tiles) {
    labels = at::empty(plan.label_sizes, call.query.options().dtype(at::kByte));
    dispatches.emplace_back(*plan.mask_tiles)
        .bind(kMaskBuffer, call.mask)
        .bind(kMaskTilesBuffer, labels)
        .bind_params(kParamsBuffer, call.params);
  }
  Tensor partial_out, partial_lse;
  if (plan.merge) {
    const auto fp32 = call.query.options().dtype(at::kFloat);
    partial_out = at::empty({plan.num_splits, call.lse.numel(), call.problem.head_dim_v}, fp32);
    partial_lse = at::empty({plan.num_splits, call.lse.numel()}, fp32);
  }
  Dispatch attention(plan.attention);
  bind_operands(attention, call, alibi_slopes, sinks);
  attention.bind(kMaskTilesBuffer, labels);
  if (plan.merge) {
    attention.bind(kPartialOutBuffer, partial_out).bind(kPartialLseBuffer, partial_lse);
  } else {
    attention.bind(kOutBuffer, call.out).bind(kLseBuffer, call.lse);
  }
  dispatches.push_back(std::move(attention));
  if (plan.merge) {
    dispatches.emplace_back(*plan.merge)
        .bind(kPartialOutBuffer, partial_out)
        .bind(kPartialLseBuffer, partial_lse)
        .bind(kOutBuffer, call.out)
        .bind(kLseBuffer, call.lse)
        .bind(kSinksBuffer, sinks)
        .bind_params(kParamsBuffer, call.params);
  }
  encode(std::move(dispatches));
}

} // namespace fused_attn::mps
