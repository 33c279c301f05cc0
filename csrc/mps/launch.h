// Encoding of launches on PyTorch's MPS stream. Plain C++: the operators that use it need no Objective-C.
#pragma once

#include "../kernel_plan.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstring>
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

  /// Sets where in the grid the kernel is to begin, if it is one that can be cut: those have AttentionParams.
  void begin_at(const std::array<int64_t, 3>& first) {
    if (launch_.work) {
      const uint32_t places[] = {static_cast<uint32_t>(first[0]), static_cast<uint32_t>(first[1]),
                                 static_cast<uint32_t>(first[2])};
      std::memcpy(params_.data() + offsetof(AttentionParams, first_x), places, sizeof places);
    }
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

/// The environment's FUSED_ATTN_MAX_DISPATCH_SECONDS as it is now; kMaxDispatchSeconds if it is not set.
double max_dispatch_seconds();

/// Encodes the launches, in order, on the current stream. Nothing waits: they run when the stream gets there.
///
/// Before a command buffer would have more modelled work than max_dispatch_seconds, it is committed, and the stream
/// goes on with a new one. Only work that was encoded here counts, and a commit of torch's own goes unnoticed: at
/// worst, one comes too early.
///
/// Everything that can fail or take long comes first: all tensors must have been allocated, and pipelines are compiled
/// before the stream's queue is entered.
void encode(std::vector<Dispatch> dispatches);

} // namespace fused_attn::mps
