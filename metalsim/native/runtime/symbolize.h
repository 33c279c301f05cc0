// From an address in a kernel's code to the line of Metal source that it comes from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace metalsim {

/// The innermost line of the user's own source: lines of the shim's headers, inlined into it, are skipped.
struct SourceLocation {
  std::string file; ///< empty = not known
  uint32_t line = 0;
};

/// Of the call that returns to `return_address`.
SourceLocation call_location(const void* return_address);
/// Of the instruction at `address`.
SourceLocation instruction_location(const void* address);

/// Looks up many return addresses at once: llvm-symbolizer is started once for each library, and later calls of
/// call_location find them in memory. Worth it before a report with many lines.
void look_up_calls(const std::vector<const void*>& return_addresses);

} // namespace metalsim
