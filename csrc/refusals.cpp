// What every operator refuses, whatever it computes: gradients, and tensors that no backend takes. Boxed functions,
// written once for all operators.
#include "check.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/stack.h>
#include <c10/core/GradMode.h>
#include <torch/library.h>

#include <string>

namespace fused_attn {
namespace {

constexpr const char* kOperators[] = {"forward",      "varlen_forward", "paged_forward", "reshape_and_cache_",
                                      "copy_blocks_", "merge_states"};

std::string op_name(const c10::OperatorHandle& op) {
  const std::string& qualified = op.schema().name();
  return qualified.substr(qualified.rfind(':') + 1);
}

/// Calls visit(argument, tensor) for every tensor that the call brings.
template <typename Visit>
void for_each_tensor(const c10::OperatorHandle& op, const torch::jit::Stack& stack, Visit visit) {
  const auto& arguments = op.schema().arguments();
  const auto inputs = torch::jit::last(stack, arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (inputs[i].isTensor()) {
      visit(arguments[i], inputs[i].toTensor());
    }
  }
}

/// Forward only: a call that would have to record a gradient refuses, instead of silently dropping it. Autograd is told
/// about the tensors that an operator writes.
void refuse_gradients(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  for_each_tensor(op, *stack, [&](const c10::Argument& argument, const Tensor& tensor) {
    FUSED_ATTN_CHECK(!at::GradMode::is_enabled() || !tensor.requires_grad(), op_name(op), argument.name(),
                     " requires grad, but the operators are forward only: wrap the call in torch.no_grad(), or use "
                     "F.scaled_dot_product_attention for training");
    const bool is_written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
    if (is_written && !tensor.is_inference()) {
      tensor.unsafeGetTensorImpl()->bump_version();
    }
  });
  const at::AutoDispatchBelowADInplaceOrView below;
  op.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
}

/// Sparse and quantised tensors, and devices without kernels: one sentence in place of torch's list of dispatch keys.
void refuse_backend(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const std::string name = op_name(op);
  for_each_tensor(op, *stack, [&](const c10::Argument& argument, const Tensor& tensor) {
    FUSED_ATTN_CHECK(tensor.layout() == at::kStrided, name, argument.name(),
                     " must be a dense (strided) tensor, but its layout is ", tensor.layout(),
                     "; call .to_dense() first");
    FUSED_ATTN_CHECK(tensor.device().is_cpu() || tensor.device().is_mps(), name, argument.name(),
                     " must be on the cpu or mps device, but is on ", tensor.device(), "; move it with .to(\"cpu\")");
  });
  FUSED_ATTN_CHECK(false, name, "this build has no kernels for ", keys.highestPriorityTypeId(),
                   " tensors; move them with .to(\"cpu\")");
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, Autograd, m) {
  for (const char* op : kOperators) {
    m.impl(op, torch::CppFunction::makeFromBoxedFunction<&refuse_gradients>());
  }
}

TORCH_LIBRARY_IMPL(fused_attn, CompositeExplicitAutograd, m) {
  for (const char* op : kOperators) {
    m.impl(op, torch::CppFunction::makeFromBoxedFunction<&refuse_backend>());
  }
}

} // namespace fused_attn
