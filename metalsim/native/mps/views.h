// Kernels on the MPS key that change what a tensor is, not what is in its memory.
#pragma once

#include <ATen/core/Tensor.h>

namespace metalsim::mps {

at::Tensor aten_as_strided(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                           std::optional<c10::SymInt> storage_offset);
at::Tensor aten_view(const at::Tensor& self, c10::SymIntArrayRef size);
at::Tensor aten_reshape_alias(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride);

const at::Tensor& aten_resize_(const at::Tensor& self, c10::SymIntArrayRef size,
                               std::optional<at::MemoryFormat> memory_format);
at::Tensor& aten_set_storage_and_strides_(at::Tensor& self, at::Storage source, c10::SymInt storage_offset,
                                          c10::SymIntArrayRef size, c10::SymIntArrayRef stride);
at::Tensor& aten_set_storage_(at::Tensor& self, at::Storage source);
at::Tensor& aten_set_tensor_(at::Tensor& self, const at::Tensor& source);
at::Tensor& aten_set_(at::Tensor& self);

/// Makes a storage at least that large.
void grow_storage(c10::StorageImpl& storage, size_t bytes);

} // namespace metalsim::mps
