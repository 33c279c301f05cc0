#include "pipeline_state.h"

namespace metalsim::metal {

PipelineState::PipelineState(const CompiledKernel& compiled)
    : compiled(compiled), name(compiled.kernel->name), used_buffers(*compiled.kernel->used_buffers),
      static_threadgroup_bytes(*compiled.kernel->threadgroup_bytes),
      max_threads_per_threadgroup(compiled.kernel->max_threads_per_threadgroup) {
  for (uint32_t i = 0; i < compiled.kernel->argument_count; ++i) {
    const abi::Argument& argument = compiled.kernel->arguments[i];
    if (!argument.is_enabled) {
      continue;
    }
    if (argument.kind == abi::ArgumentKind::buffer) {
      buffers.push_back(argument);
    } else if (argument.kind == abi::ArgumentKind::threadgroup_memory) {
      threadgroup_memory.push_back(argument);
    }
  }
}

std::string of_kernel(const char* call, const PipelineState& pipeline) {
  return std::string(call) + " of kernel '" + pipeline.name + "'";
}

} // namespace metalsim::metal
