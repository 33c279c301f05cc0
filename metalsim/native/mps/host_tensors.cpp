#include "host_tensors.h"

#include "device_tensors.h"
#include "host_memory.h"
#include "views.h"

#include <cstring>

namespace metalsim::mps {

namespace {

/// A tensor of `like`'s type, sizes, strides and lazy conjugation or negation, over another storage.
at::Tensor over_storage(const at::Storage& storage, c10::DispatchKey key, const at::Tensor& like) {
  at::Tensor tensor =
      at::detail::make_tensor<c10::TensorImpl>(at::Storage(storage), c10::DispatchKeySet(key), like.dtype());
  c10::TensorImpl& made = *tensor.unsafeGetTensorImpl();
  made.set_storage_offset(like.storage_offset());
  made.set_sizes_and_strides(like.sizes(), like.strides());
  if (like.is_conj()) {
    tensor._set_conj(true);
  }
  if (like.is_neg()) {
    tensor._set_neg(true);
  }
  return tensor;
}

at::Tensor copy_to_device(const at::Tensor& result) {
  // Their lazy bits would have to be resolved on the device later, at every use.
  const at::Tensor resolved = result.resolve_conj().resolve_neg();
  const at::IntArrayRef sizes = resolved.sizes();
  at::Tensor copy = resolved.is_non_overlapping_and_dense()
                        ? empty_strided(sizes, resolved.strides(), resolved.scalar_type())
                        : empty_strided(sizes, resolved.contiguous().strides(), resolved.scalar_type());
  if (copy.numel() != 0) {
    HostTensors view;
    view.to_host(copy).copy_(resolved);
  }
  return copy;
}

} // namespace

const at::Storage& HostTensors::host_storage(const at::Storage& device_storage) {
  const auto found = host_storages_.find(device_storage.unsafeGetStorageImpl());
  if (found != host_storages_.end()) {
    return found->second;
  }
  const at::Storage alias = host_alias(device_storage);
  device_storages_.emplace(alias.unsafeGetStorageImpl(), device_storage);
  return host_storages_.emplace(device_storage.unsafeGetStorageImpl(), alias).first->second;
}

at::Tensor HostTensors::to_host(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.device().is_mps()) {
    return tensor;
  }
  const auto found = by_device_.find(tensor.unsafeGetTensorImpl());
  if (found != by_device_.end()) {
    return arguments_[found->second].host;
  }
  at::Tensor host = over_storage(host_storage(tensor.storage()), c10::DispatchKey::CPU, tensor);
  if (tensor.unsafeGetTensorImpl()->is_wrapped_number()) {
    host.unsafeGetTensorImpl()->set_wrapped_number(true);
  }
  by_device_.emplace(tensor.unsafeGetTensorImpl(), arguments_.size());
  by_host_.emplace(host.unsafeGetTensorImpl(), arguments_.size());
  arguments_.push_back({tensor, host});
  return host;
}

at::Tensor HostTensors::to_device(const at::Tensor& result) {
  if (!result.defined() || !result.device().is_cpu()) {
    return result;
  }
  TORCH_CHECK_NOT_IMPLEMENTED(result.layout() == at::kStrided, "metalsim's mps device has no tensors with the layout ",
                              result.layout(), "; move the arguments to the CPU first");
  const auto argument = by_host_.find(result.unsafeGetTensorImpl());
  if (argument != by_host_.end()) {
    return arguments_[argument->second].device;
  }
  check_type(result.scalar_type());
  const auto storage = device_storages_.find(result.storage().unsafeGetStorageImpl());
  if (storage != device_storages_.end()) {
    return over_storage(storage->second, c10::DispatchKey::MPS, result);
  }
  return copy_to_device(result);
}

void HostTensors::update_arguments() {
  for (const auto& [host, device] : device_storages_) {
    const bool is_reallocated = host->data() != host_address(device);
    if (is_reallocated) {
      grow_storage(*device.unsafeGetStorageImpl(), host->nbytes());
      std::memcpy(host_address(device), host->data(), host->nbytes());
    }
  }
  for (const Argument& argument : arguments_) {
    update_argument(argument);
  }
}

void HostTensors::update_argument(const Argument& argument) {
  const auto& [device, host] = argument;
  c10::TensorImpl& changed = *device.unsafeGetTensorImpl();
  const auto storage = device_storages_.find(host.storage().unsafeGetStorageImpl());
  if (storage == device_storages_.end()) {
    const at::Tensor copy = copy_to_device(host);
    changed.set_storage_keep_dtype(copy.storage());
    changed.set_storage_offset(0);
    changed.set_sizes_and_strides(copy.sizes(), copy.strides());
    return;
  }
  const bool is_unchanged = host.sizes() == device.sizes() && host.strides() == device.strides() &&
                            host.storage_offset() == device.storage_offset() &&
                            storage->second.is_alias_of(device.storage());
  if (!is_unchanged) {
    changed.set_storage_keep_dtype(storage->second);
    changed.set_storage_offset(host.storage_offset());
    changed.set_sizes_and_strides(host.sizes(), host.strides());
  }
}

} // namespace metalsim::mps
