// Encoding of launches on PyTorch's MPS stream. Plain C++: the operators that use it need no Objective-C.
#pragma once

#include "../kernel_plan.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <utility>
#include <vector>

namespace fused_attn::mps {

using at::Tensor;

/// A launch with its operands.
class Dispatch {
public:
  explicit Dispatch(Launch launch) : launch_(std::move(launch)) {}

  /// Binds a tensor; an undefined one stays unbound, as the kernel's function constants then say.
  Dispatch& bind(uint32_t index, const Tensor& tensor) {
    if (tensor.defined()) {
      tensors_.emplace_back(index, tensor);
    }
    return *this;
  }
  /// Binds a tensor that the kernel writes and that is not new: a lazy copy of another becomes a real one.
  Dispatch& bind_written(uint32_t index, const Tensor& tensor) {
    tensor.storage().mutable_data();
    return bind(index, tensor);
  }
  /// Binds a struct of params.h, by value.
  template <typename Params> Dispatch& bind_params(uint32_t index, const Params& params) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&params);
    params_index_ = index;
    params_.assign(bytes, bytes + sizeof(Params));
    return *this;
  }

  const Launch& launch() const { return launch_; }
  const std::vector<std::pair<uint32_t, Tensor>>& tensors() const { return tensors_; }
  uint32_t params_index() const { return params_index_; }
  const std::vector<std::byte>& params() const { return params_; }

private:
  Launch launch_;
  std::vector<std::pair<uint32_t, Tensor>> tensors_;
  uint32_t params_index_ = 0;
  std::vector<std::byte> params_;
};

/// The GPU that torch runs on.
Gpu current_gpu();

/// Encodes the dispatches, in order, on the current stream. Nothing waits: they run when the stream gets there.
///
/// Everything that can fail or take long comes first: all tensors must have been allocated, and pipelines are compiled
/// before the stream's queue is entered.
void encode(const std::vector<Dispatch>& dispatches);

} // namespace fused_attn::mps
