#include "grid.h"

#include "validation.h"

namespace metalsim::metal {

namespace {

constexpr uint64_t kMaxThreadsOfAxis = UINT32_MAX;

bool has_zero(const Size& size) {
  return size[0] == 0 || size[1] == 0 || size[2] == 0;
}

/// Saturates, so that sizes which overflow stay too large.
uint64_t product(uint64_t a, uint64_t b) {
  uint64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? UINT64_MAX : result;
}

} // namespace

void check_threadgroup(const char* call, const PipelineState& pipeline, const Size& threads_per_threadgroup) {
  if (has_zero(threads_per_threadgroup)) {
    refuse(of_kernel(call, pipeline) + " got threadsPerThreadgroup " + text(threads_per_threadgroup) +
           "; every size must be at least 1");
  }
  const uint64_t threads =
      product(product(threads_per_threadgroup[0], threads_per_threadgroup[1]), threads_per_threadgroup[2]);
  if (threads > pipeline.max_threads_per_threadgroup) {
    refuse(of_kernel(call, pipeline) + " got threadsPerThreadgroup " + text(threads_per_threadgroup) + ", " +
           text(threads) + " threads; the pipeline's maxTotalThreadsPerThreadgroup is " +
           text(pipeline.max_threads_per_threadgroup));
  }
  if (pipeline.needs_full_simdgroups && threads % abi::kSimdWidth != 0) {
    refuse(of_kernel(call, pipeline) + " got threadsPerThreadgroup " + text(threads_per_threadgroup) + ", " +
           text(threads) +
           " threads; the pipeline was promised multiples of its threadExecutionWidth, 32 "
           "(threadGroupSizeIsMultipleOfThreadExecutionWidth)");
  }
}

void check_grid(const char* call, const PipelineState& pipeline, const Size& threads) {
  if (has_zero(threads)) {
    refuse(of_kernel(call, pipeline) + " got a grid of " + text(threads) +
           " threads; every size must be at least 1: do not encode a dispatch that has nothing to do");
  }
  for (unsigned long size : threads) {
    if (size > kMaxThreadsOfAxis) {
      refuse(of_kernel(call, pipeline) + " got a grid of " + text(threads) +
             " threads; no size may be more than 4294967295, because positions are 32-bit numbers: split the grid");
    }
  }
}

void threads_of(const char* call, const PipelineState& pipeline, const Size& threadgroups,
                const Size& threads_per_threadgroup, Size& threads) {
  if (has_zero(threadgroups)) {
    refuse(of_kernel(call, pipeline) + " got a grid of " + text(threadgroups) +
           " threadgroups; every size must be at least 1: do not encode a dispatch that has nothing to do");
  }
  for (int axis = 0; axis < 3; ++axis) {
    threads[axis] = product(threadgroups[axis], threads_per_threadgroup[axis]);
  }
}

} // namespace metalsim::metal
