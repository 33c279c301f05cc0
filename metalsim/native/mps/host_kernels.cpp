// Lets an operator that refuses MPS tensors itself run on the host instead, as operators without any kernel do.
#include "fallback.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>
#include <vector>

namespace metalsim::mps {

namespace {

/// A registration ends with its handle.
std::vector<c10::RegistrationHandleRAII>& registrations() {
  static auto* const handles = new std::vector<c10::RegistrationHandleRAII>;
  return *handles;
}

/// The operator need not be defined yet.
void use_host_kernel(const std::string& name) {
  registrations().push_back(c10::Dispatcher::singleton().registerImpl(
      {name, ""}, c10::DispatchKey::MPS, c10::KernelFunction::makeFromBoxedFunction<&run_on_host>(), std::nullopt,
      nullptr, "metalsim: the operator's CPU kernel, on the device's memory"));
}

void drop_host_kernels() {
  registrations().clear();
}

} // namespace

TORCH_LIBRARY_FRAGMENT(metalsim, library) {
  library.def("use_host_kernel(str name) -> ()", TORCH_FN(use_host_kernel));
  library.def("drop_host_kernels() -> ()", TORCH_FN(drop_host_kernels));
}

} // namespace metalsim::mps
