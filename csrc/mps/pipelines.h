// Compiled kernels, kept for as long as the process runs.
#pragma once

#include "../kernel_plan.h"

#import <Metal/Metal.h>

namespace fused_attn::mps {

/// The pipeline of a kernel for threadgroups of `threads`, compiled at its first use. May be called from any thread,
/// and never from the stream's queue: compiling takes a while.
///
/// A library is one file with its macros, so that one that some macOS refuses does not take the others along.
/// Throws c10::Error with Metal's own message if the kernel does not compile.
id<MTLComputePipelineState> pipeline_of(id<MTLDevice> device, const Kernel& kernel, int64_t threads);

} // namespace fused_attn::mps
