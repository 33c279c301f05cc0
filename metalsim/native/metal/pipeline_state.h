// What encoders and commands need to know of a compute pipeline, without Objective-C.
#pragma once

#include "compiler.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace metalsim::metal {

struct PipelineState {
  PipelineState(const CompiledKernel& compiled);

  CompiledKernel compiled;
  std::string name;
  std::vector<abi::Argument> buffers;            ///< enabled arguments that are [[buffer(n)]]
  std::vector<abi::Argument> threadgroup_memory; ///< enabled arguments that are [[threadgroup(n)]]
  uint32_t used_buffers;                         ///< one bit for each [[buffer(n)]] that the code uses
  uint32_t static_threadgroup_bytes;
  uint32_t max_threads_per_threadgroup;
  bool needs_full_simdgroups = false; ///< the promise threadGroupSizeIsMultipleOfThreadExecutionWidth
  std::atomic<bool> is_released{false};

  bool uses(const abi::Argument& buffer) const { return used_buffers >> buffer.index & 1; }
};

/// How the sentences about a dispatch begin: "CALL of kernel 'NAME'".
std::string of_kernel(const char* call, const PipelineState& pipeline);

} // namespace metalsim::metal
