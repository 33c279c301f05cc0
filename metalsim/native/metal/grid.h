// The rules about the size of a dispatch.
#pragma once

#include "pipeline_state.h"

namespace metalsim::metal {

/// The sizes of MTLSize, x first.
using Size = unsigned long[3];

/// Refuses threads per threadgroup that the pipeline does not allow.
void check_threadgroup(const char* call, const PipelineState& pipeline, const Size& threads_per_threadgroup);
/// Refuses a grid of no threads, or of more than there are numbers for.
void check_grid(const char* call, const PipelineState& pipeline, const Size& threads);
/// The threads of a grid given in threadgroups, which must have been checked.
void threads_of(const char* call, const PipelineState& pipeline, const Size& threadgroups,
                const Size& threads_per_threadgroup, Size& threads);

} // namespace metalsim::metal
