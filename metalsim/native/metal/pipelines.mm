#import "pipelines.h"

#import "functions.h"
#import "reflection.h"
#include "validation.h"

using namespace metalsim::metal;

@implementation SoftwareComputePipelineState {
  std::shared_ptr<PipelineState> _state;
}

- (instancetype)initWithState:(std::shared_ptr<PipelineState>)state {
  if ((self = [super init])) {
    _state = std::move(state);
  }
  return self;
}

- (void)dealloc {
  if (_state) {
    _state->is_released = true;
  }
  [super dealloc];
}

- (const std::shared_ptr<PipelineState>&)state {
  return _state;
}

- (NSUInteger)maxTotalThreadsPerThreadgroup {
  return _state->max_threads_per_threadgroup;
}

- (NSUInteger)threadExecutionWidth {
  return metalsim::abi::kSimdWidth;
}

- (NSUInteger)staticThreadgroupMemoryLength {
  return _state->static_threadgroup_bytes;
}

- (BOOL)supportIndirectCommandBuffers {
  return NO;
}

- (MTLResourceID)gpuResourceID {
  return {reinterpret_cast<uint64_t>(_state.get())};
}

- (MTLComputePipelineReflection*)reflection {
  return pipeline_reflection(*_state);
}

@end

namespace metalsim::metal {

namespace {

/// On a Mac these errors are the GPU driver's, whose domain has no public name.
NSErrorDomain const kPipelineErrorDomain = @"AGXMetal";
constexpr NSInteger kPipelineErrorCode = 3;

/// Lowers the limit; 0 says nothing.
void limit_threads(PipelineState& state, NSUInteger limit) {
  if (limit != 0 && limit < state.max_threads_per_threadgroup) {
    state.max_threads_per_threadgroup = static_cast<uint32_t>(limit);
  }
}

std::shared_ptr<PipelineState> make_state(const char* call, id<MTLFunction> function, NSError** error) {
  SoftwareFunction* const kernel = argument<SoftwareFunction>(function, "MTLFunction", call);
  std::shared_ptr<PipelineState> state;
  try {
    state = std::make_shared<PipelineState>([kernel compiled]);
  } catch (const CompilationFailed& failure) {
    fail(error, kPipelineErrorDomain, kPipelineErrorCode, failure.what());
    return nullptr;
  }
  if (state->static_threadgroup_bytes > abi::kThreadgroupMemory) {
    fail(error, kPipelineErrorDomain, kPipelineErrorCode,
         "Threadgroup memory size (" + text(state->static_threadgroup_bytes) +
             ") exceeds the maximum threadgroup memory allowed (" + text(abi::kThreadgroupMemory) + ")");
    return nullptr;
  }
  limit_threads(*state, kernel.library.maxTotalThreadsPerThreadgroup);
  return state;
}

} // namespace

id<MTLComputePipelineState> new_pipeline(id<MTLFunction> function, NSError** error) {
  const char* const call = "-[MTLDevice newComputePipelineStateWithFunction:error:]";
  std::shared_ptr<PipelineState> state = make_state(call, function, error);
  return state ? [[SoftwareComputePipelineState alloc] initWithState:std::move(state)] : nil;
}

id<MTLComputePipelineState> new_pipeline(MTLComputePipelineDescriptor* descriptor, NSError** error) {
  const char* const call = "-[MTLDevice newComputePipelineStateWithDescriptor:options:reflection:error:]";
  check_kind(descriptor, [MTLComputePipelineDescriptor class], "MTLComputePipelineDescriptor", call);
  std::shared_ptr<PipelineState> state = make_state(call, descriptor.computeFunction, error);
  if (!state) {
    return nil;
  }
  const NSUInteger limit = descriptor.maxTotalThreadsPerThreadgroup;
  if (limit > abi::kMaxThreads) {
    refuse(std::string(call) + " got maxTotalThreadsPerThreadgroup " + text(limit) + "; it must be at most " +
           text(abi::kMaxThreads));
  }
  limit_threads(*state, limit);
  state->needs_full_simdgroups = descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth;
  SoftwareComputePipelineState* const pipeline = [[SoftwareComputePipelineState alloc] initWithState:std::move(state)];
  pipeline.label = descriptor.label;
  return pipeline;
}

} // namespace metalsim::metal

@implementation MTLComputePipelineDescriptor

- (void)dealloc {
  [_label release];
  [_computeFunction release];
  [super dealloc];
}

- (void)reset {
  self.label = nil;
  self.computeFunction = nil;
  self.threadGroupSizeIsMultipleOfThreadExecutionWidth = NO;
  self.maxTotalThreadsPerThreadgroup = 0;
  self.supportIndirectCommandBuffers = NO;
  self.maxCallStackDepth = 1;
  self.requiredThreadsPerThreadgroup = MTLSizeMake(0, 0, 0);
}

- (id)copyWithZone:(NSZone*)zone {
  MTLComputePipelineDescriptor* const copy = [[MTLComputePipelineDescriptor alloc] init];
  copy.label = self.label;
  copy.computeFunction = self.computeFunction;
  copy.threadGroupSizeIsMultipleOfThreadExecutionWidth = self.threadGroupSizeIsMultipleOfThreadExecutionWidth;
  copy.maxTotalThreadsPerThreadgroup = self.maxTotalThreadsPerThreadgroup;
  copy.supportIndirectCommandBuffers = self.supportIndirectCommandBuffers;
  copy.maxCallStackDepth = self.maxCallStackDepth;
  copy.requiredThreadsPerThreadgroup = self.requiredThreadsPerThreadgroup;
  return copy;
}

@end
