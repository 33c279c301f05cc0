// New tensors on the device.
#pragma once

#include <ATen/core/Tensor.h>

namespace metalsim::mps {

/// Raises TypeError, in torch's words, for a type that Metal does not have.
void check_type(at::ScalarType type);

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type);

// Kernels on the MPS key.
at::Tensor aten_empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout> layout,
                      std::optional<at::Device> device, std::optional<bool> pin_memory,
                      std::optional<at::MemoryFormat> memory_format);
at::Tensor aten_empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> type,
                              std::optional<at::Layout> layout, std::optional<at::Device> device,
                              std::optional<bool> pin_memory);

} // namespace metalsim::mps
