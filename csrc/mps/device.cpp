// What the GPU is that kernels are chosen for, for the doctor of the Python package to show.
#include "launch.h"

#include <torch/library.h>

#include <tuple>

namespace fused_attn::mps {
namespace {

std::tuple<int64_t, int64_t> gpu() {
  const Gpu found = current_gpu();
  return {found.family, found.cores};
}

} // namespace
} // namespace fused_attn::mps

TORCH_LIBRARY_FRAGMENT(fused_attn, m) {
  m.def("mps_gpu() -> (int family, int cores)", &fused_attn::mps::gpu);
}
