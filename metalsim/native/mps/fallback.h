// Operators without a kernel of their own run on the CPU, over the device's memory.
#pragma once

#include <ATen/core/stack.h>
#include <c10/core/DispatchKeySet.h>

namespace c10 {
class OperatorHandle;
}

namespace metalsim::mps {

/// The boxed kernel for everything that has none on the MPS key.
void run_on_host(const c10::OperatorHandle& operator_handle, c10::DispatchKeySet keys, torch::jit::Stack* stack);

} // namespace metalsim::mps
