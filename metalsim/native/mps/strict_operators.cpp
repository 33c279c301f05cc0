#include "strict_operators.h"

#include <ATen/core/operator_name.h>
#include <c10/util/Exception.h>

#include <atomic>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_set>

namespace metalsim::mps {

namespace {

using Names = std::unordered_set<std::string>;

/// Null in the ordinary mode. Earlier sets are kept: other threads may still read them.
std::atomic<const Names*> strict_names = nullptr;

bool allows_fallback() {
  const char* const value = std::getenv("PYTORCH_ENABLE_MPS_FALLBACK");
  return value != nullptr && std::string_view(value) == "1";
}

} // namespace

void require_kernel(const c10::OperatorName& name) {
  const Names* const names = strict_names;
  if (names == nullptr) {
    return;
  }
  if (name.name.rfind("aten::", 0) != 0 || names->count(c10::toString(name)) != 0 || allows_fallback()) {
    return;
  }
  TORCH_CHECK_NOT_IMPLEMENTED(
      false, "The operator '", name,
      "' is not currently implemented for the MPS device. As a temporary fix, you can set the "
      "environment variable `PYTORCH_ENABLE_MPS_FALLBACK=1` to use the CPU as a fallback for this "
      "op. WARNING: this will be slower than running natively on MPS.");
}

} // namespace metalsim::mps

void metalsim_set_strict_operators(const char* names) {
  using metalsim::mps::Names;
  if (names == nullptr) {
    metalsim::mps::strict_names = nullptr;
    return;
  }
  auto* const parsed = new Names;
  std::istringstream lines(names);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) {
      parsed->insert(line);
    }
  }
  metalsim::mps::strict_names = parsed;
}
