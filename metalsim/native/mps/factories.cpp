// The two factories that all others use, and their C++ forms in at::detail.
#include "device_tensors.h"

#include "../metal/compiler.h"

#include <ATen/EmptyTensor.h>
#include <ATen/mps/EmptyTensor.h>
#include <ATen/mps/MPSDevice.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/TensorOptions.h>

namespace metalsim::mps {

namespace {

const c10::DispatchKeySet kKeys(c10::DispatchKey::MPS);

void check_options(std::optional<at::Layout> layout, std::optional<at::Device> device, std::optional<bool> pin_memory) {
  TORCH_CHECK(c10::layout_or_default(layout) == at::Layout::Strided, "mps tensors are strided: got the layout ",
              c10::layout_or_default(layout));
  TORCH_CHECK(!c10::pinned_memory_or_default(pin_memory), "Only dense CPU tensors can be pinned");
  TORCH_CHECK(!device.has_value() || device->index() <= 0, "there is one mps device: got ", *device,
              ", and the index must be 0");
}

at::TensorBase empty_on_device(at::IntArrayRef size, std::optional<at::ScalarType> type,
                               std::optional<at::Layout> layout, std::optional<at::Device> device,
                               std::optional<bool> pin_memory, std::optional<at::MemoryFormat> memory_format) {
  const at::ScalarType chosen = c10::dtype_or_default(type);
  check_type(chosen);
  check_options(layout, device, pin_memory);
  return at::detail::empty_generic(size, at::mps::GetMPSAllocator(), kKeys, chosen, memory_format);
}

at::TensorBase empty_strided_on_device(at::IntArrayRef size, at::IntArrayRef stride, at::ScalarType type,
                                       std::optional<at::Device> device) {
  check_type(type);
  check_options(std::nullopt, device, std::nullopt);
  return at::detail::empty_strided_generic(size, stride, at::mps::GetMPSAllocator(), kKeys, type);
}

} // namespace

void check_type(at::ScalarType type) {
  TORCH_CHECK_TYPE(type != at::kDouble, "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't "
                                        "support float64. Please use float32 instead.");
  TORCH_CHECK_TYPE(type != at::kComplexDouble, "Trying to convert ", type,
                   " to the MPS backend but it does not have support for that dtype.");
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type) {
  return at::Tensor(empty_strided_on_device(sizes, strides, type, std::nullopt));
}

at::Tensor aten_empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout> layout,
                      std::optional<at::Device> device, std::optional<bool> pin_memory,
                      std::optional<at::MemoryFormat> memory_format) {
  return at::Tensor(empty_on_device(C10_AS_INTARRAYREF_SLOW(size), type, layout, device, pin_memory, memory_format));
}

at::Tensor aten_empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> type,
                              std::optional<at::Layout> layout, std::optional<at::Device> device,
                              std::optional<bool> pin_memory) {
  check_options(layout, device, pin_memory);
  return at::Tensor(empty_strided_on_device(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                            c10::dtype_or_default(type), device));
}

} // namespace metalsim::mps

namespace at::detail {

TensorBase empty_mps(IntArrayRef size, std::optional<ScalarType> type, std::optional<Layout> layout,
                     std::optional<Device> device, std::optional<bool> pin_memory,
                     std::optional<c10::MemoryFormat> memory_format) {
  return metalsim::mps::empty_on_device(size, type, layout, device, pin_memory, memory_format);
}

TensorBase empty_mps(IntArrayRef size, const TensorOptions& options) {
  return empty_mps(size, optTypeMetaToScalarType(options.dtype_opt()), options.layout_opt(), options.device_opt(),
                   options.pinned_memory_opt(), options.memory_format_opt());
}

TensorBase empty_strided_mps(IntArrayRef size, IntArrayRef stride, ScalarType type, std::optional<Device> device) {
  return metalsim::mps::empty_strided_on_device(size, stride, type, device);
}

TensorBase empty_strided_mps(IntArrayRef size, IntArrayRef stride, const TensorOptions& options) {
  return empty_strided_mps(size, stride, typeMetaToScalarType(options.dtype()), options.device_opt());
}

} // namespace at::detail
