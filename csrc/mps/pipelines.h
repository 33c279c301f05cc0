// Compiled kernels, kept for as long as the process runs.
#pragma once

#include "../kernel_plan.h"

#import <Metal/Metal.h>

namespace fused_attn::mps {

/// The pipeline of a kernel for threadgroups of `threads`, compiled at its first use. May be called from any thread,
/// and never from the stream's queue: compiling takes a while.
///
/// A library is one file with its macros, so that one that some macOS refuses does not take the others along. What was
/// refused is remembered, and not tried again.
/// Throws KernelError if Metal refuses the kernel, and c10::Error if its source is not there.
id<MTLComputePipelineState> pipeline_of(id<MTLDevice> device, const Kernel& kernel, int64_t threads);

} // namespace fused_attn::mps
