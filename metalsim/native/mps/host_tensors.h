// CPU tensors over the memory of device tensors, for one call of a CPU kernel.
#pragma once

#include <ATen/core/Tensor.h>

#include <unordered_map>
#include <vector>

namespace metalsim::mps {

/// The caller synchronises first. Lives until the results are on the device: it owns the CPU tensors, which the call of
/// a kernel takes off the stack.
class HostTensors {
public:
  /// A CPU tensor over the same memory, the same one for the same tensor. Tensors that are not on the device pass
  /// through.
  at::Tensor to_host(const at::Tensor& tensor);
  /// A kernel's result on the device: an argument itself, a view of one, or a copy.
  at::Tensor to_device(const at::Tensor& result);
  /// Carries over to the arguments what the kernel did to their sizes and storages.
  void update_arguments();
  bool is_empty() const { return arguments_.empty(); }

private:
  struct Argument {
    at::Tensor device, host;
  };
  const at::Storage& host_storage(const at::Storage& device_storage);
  void update_argument(const Argument& argument);

  std::vector<Argument> arguments_;
  std::unordered_map<const c10::TensorImpl*, size_t> by_device_, by_host_;   ///< places in arguments_
  std::unordered_map<const c10::StorageImpl*, at::Storage> host_storages_;   ///< of device storages
  std::unordered_map<const c10::StorageImpl*, at::Storage> device_storages_; ///< of host storages
};

} // namespace metalsim::mps
