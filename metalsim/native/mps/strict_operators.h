// Refusing the operators that a Mac refuses: those for which torch has no MPS kernel.
#pragma once

#include "../metal/compiler.h"

namespace c10 {
struct OperatorName;
}

namespace metalsim::mps {

/// Raises NotImplementedError if strict mode is on and torch has no kernel for the operator. Composite operators never
/// come here: their parts do.
void require_kernel(const c10::OperatorName& name);

} // namespace metalsim::mps

extern "C" {
/// Switches strict mode on, with the names of the operators that have kernels ("aten::add.out"), one a line; null: off.
/// Thread-safe.
METALSIM_PUBLIC void metalsim_set_strict_operators(const char* names);
}
