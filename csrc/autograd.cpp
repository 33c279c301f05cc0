// Forward only: an operator that is asked to record a gradient refuses, instead of silently dropping it. One boxed function
// serves all operators; it also tells autograd about the tensors that an operator writes.
#include "check.h"

#include <c10/core/GradMode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <torch/library.h>

namespace fused_attn {
namespace {

std::string op_name(const c10::OperatorHandle& op) {
  const std::string& qualified = op.schema().name();
  return qualified.substr(qualified.rfind(':') + 1);
}

void refuse_gradients(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const auto& arguments = op.schema().arguments();
  const auto inputs = torch::jit::last(*stack, arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!inputs[i].isTensor()) {
      continue;
    }
    const at::Tensor& tensor = inputs[i].toTensor();
    FUSED_ATTN_CHECK(!at::GradMode::is_enabled() || !tensor.requires_grad(), op_name(op), arguments[i].name(),
                     " requires grad, but the operators are forward only: wrap the call in torch.no_grad(), or use "
                     "F.scaled_dot_product_attention for training");
    if (arguments[i].alias_info() != nullptr && arguments[i].alias_info()->isWrite() && !tensor.is_inference()) {
      tensor.unsafeGetTensorImpl()->bump_version();
    }
  }
  const at::AutoDispatchBelowADInplaceOrView below;
  op.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, Autograd, m) {
  for (const char* op : {"forward", "varlen_forward", "paged_forward", "reshape_and_cache_", "copy_blocks_", "merge_states"}) {
    m.impl(op, torch::CppFunction::makeFromBoxedFunction<&refuse_gradients>());
  }
}

} // namespace fused_attn
