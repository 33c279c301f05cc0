// Compiles a kernel without running it, for the doctor of the Python package.
#import "pipelines.h"

#include <ATen/core/Dict.h>
#include <ATen/mps/MPSDevice.h>
#include <torch/library.h>

#include <string>

namespace fused_attn::mps {
namespace {

/// The arguments are a launch as kernel_plan describes it to Python, with its constants apart by their types. From
/// several threads at once, kernels are compiled at once.
void compile(const std::string& file, const std::string& name, const c10::Dict<std::string, std::string>& macros,
             const c10::Dict<int64_t, bool>& bool_constants, const c10::Dict<int64_t, int64_t>& uint_constants,
             int64_t threads) {
  Kernel kernel{file.c_str(), name.c_str(), {}, {}};
  std::vector<std::string> names; // kernels do not own the names of their macros
  names.reserve(macros.size());
  for (const auto& macro : macros) {
    names.push_back(macro.key());
    kernel.macros.push_back({names.back().c_str(), macro.value()});
  }
  for (const auto& constant : bool_constants) {
    kernel.constants.push_back({static_cast<uint32_t>(constant.key()), true, constant.value() ? 1U : 0U});
  }
  for (const auto& constant : uint_constants) {
    kernel.constants.push_back({static_cast<uint32_t>(constant.key()), false, static_cast<uint32_t>(constant.value())});
  }
  @autoreleasepool {
    pipeline_of(at::mps::MPSDevice::getInstance()->device(), kernel, threads);
  }
}

} // namespace
} // namespace fused_attn::mps

TORCH_LIBRARY_FRAGMENT(fused_attn, m) {
  m.def("mps_compile(str file, str kernel, Dict(str, str) macros, Dict(int, bool) bool_constants, "
        "Dict(int, int) uint_constants, int threads) -> ()",
        &fused_attn::mps::compile);
}
