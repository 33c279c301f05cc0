// MTLComputePipelineReflection: the arguments of a pipeline, for host code that looks at them.
#pragma once

#import <Metal/Metal.h>

#include "pipeline_state.h"

namespace metalsim::metal {

MTLComputePipelineReflection* _Nonnull pipeline_reflection(const PipelineState& state);

} // namespace metalsim::metal
