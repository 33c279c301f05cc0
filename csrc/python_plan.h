// The plan of a call, for Python: tests and the documentation read it, operators never do.
#pragma once

#include <torch/csrc/utils/pybind.h>

namespace fused_attn {

/// Adds `kernel_plan` to the module.
void define_kernel_plan(pybind11::module_& module);

} // namespace fused_attn
