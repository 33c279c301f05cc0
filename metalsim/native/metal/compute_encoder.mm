#import "compute_encoder.h"

#include "argument_bindings.h"
#import "buffers.h"
#include "device_memory.h"
#import "events.h"
#include "grid.h"
#import "heaps.h"
#import "pipelines.h"
#include "settings.h"
#include "statistics.h"
#include "validation.h"

#include <algorithm>

using namespace metalsim::metal;

namespace {

void copy_size(uint32_t target[3], const Size& size) {
  std::transform(size, size + 3, target, [](unsigned long threads) { return static_cast<uint32_t>(threads); });
}

} // namespace

@implementation SoftwareComputeCommandEncoder {
  SoftwareCommandBuffer* _commandBuffer; // kept by the superclass
  MTLDispatchType _dispatchType;
  ArgumentBindings _bindings;
  size_t _firstUnordered; // the first command since the last barrier
}

- (instancetype)initWithCommandBuffer:(SoftwareCommandBuffer*)commandBuffer dispatchType:(MTLDispatchType)type {
  if ((self = [super initWithCommandBuffer:commandBuffer])) {
    _commandBuffer = commandBuffer;
    _dispatchType = type;
    _firstUnordered = [commandBuffer commands].size();
  }
  return self;
}

- (MTLDispatchType)dispatchType {
  return _dispatchType;
}

- (void)beginOperation {
  _bindings.begin_operation();
}

// ---- the argument table

- (void)setComputePipelineState:(id<MTLComputePipelineState>)state {
  const char* const call = "-[MTLComputeCommandEncoder setComputePipelineState:]";
  [self checkIsOpen:call];
  auto* const pipeline = argument<SoftwareComputePipelineState>(state, "MTLComputePipelineState", call);
  [_commandBuffer keep:pipeline];
  _bindings.set_pipeline([pipeline state]);
}

- (void)setBytes:(const void*)bytes length:(NSUInteger)length atIndex:(NSUInteger)index {
  const char* const call = "-[MTLComputeCommandEncoder setBytes:length:atIndex:]";
  [self checkIsOpen:call];
  _bindings.set_bytes(call, [_commandBuffer commands], bytes, length, index);
}

- (void)bindBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index call:(const char*)call {
  [self checkIsOpen:call];
  if (buffer == nil) {
    _bindings.clear_buffer(call, index);
    return;
  }
  SoftwareBuffer* const bound = buffer_argument(buffer, call);
  _bindings.set_buffer(call, [bound memory], offset, index);
  [_commandBuffer keep:bound];
}

- (void)setBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index {
  [self bindBuffer:buffer offset:offset atIndex:index call:"-[MTLComputeCommandEncoder setBuffer:offset:atIndex:]"];
}

- (void)setBufferOffset:(NSUInteger)offset atIndex:(NSUInteger)index {
  const char* const call = "-[MTLComputeCommandEncoder setBufferOffset:atIndex:]";
  [self checkIsOpen:call];
  _bindings.set_offset(call, offset, index);
}

- (void)setBuffers:(const id<MTLBuffer>[])buffers offsets:(const NSUInteger[])offsets withRange:(NSRange)range {
  for (NSUInteger i = 0; i < range.length; ++i) {
    [self bindBuffer:buffers[i]
              offset:offsets[i]
             atIndex:range.location + i
                call:"-[MTLComputeCommandEncoder setBuffers:offsets:withRange:]"];
  }
}

- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index {
  const char* const call = "-[MTLComputeCommandEncoder setThreadgroupMemoryLength:atIndex:]";
  [self checkIsOpen:call];
  _bindings.set_threadgroup_memory(call, length, index);
}

// ---- dispatches

/// Takes a dispatch whose grid is filled in.
- (void)take:(DispatchCommand)command {
  OperatorCall caller = current_operator();
  if (caller.number != 0) {
    command.encoded_by = std::move(caller.name);
  }
  ++statistics.dispatches;
  if (compiler().observes() || settings().max_products != 0) {
    _firstUnordered = 0;
    [_commandBuffer runObserved:command];
    return;
  }
  [_commandBuffer append:std::move(command)];
}

- (void)dispatch:(const char*)call threads:(const Size&)threads perThreadgroup:(const Size&)perThreadgroup {
  check_grid(call, _bindings.pipeline(call), threads);
  DispatchCommand command = _bindings.dispatch(call);
  copy_size(command.threads_per_grid, threads);
  copy_size(command.threads_per_threadgroup, perThreadgroup);
  [self take:std::move(command)];
}

- (void)dispatchThreads:(MTLSize)threadsPerGrid threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
  const char* const call = "-[MTLComputeCommandEncoder dispatchThreads:threadsPerThreadgroup:]";
  [self checkIsOpen:call];
  const Size threads = {threadsPerGrid.width, threadsPerGrid.height, threadsPerGrid.depth};
  const Size group = {threadsPerThreadgroup.width, threadsPerThreadgroup.height, threadsPerThreadgroup.depth};
  check_threadgroup(call, _bindings.pipeline(call), group);
  [self dispatch:call threads:threads perThreadgroup:group];
}

- (void)dispatchThreadgroups:(MTLSize)threadgroupsPerGrid threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
  const char* const call = "-[MTLComputeCommandEncoder dispatchThreadgroups:threadsPerThreadgroup:]";
  [self checkIsOpen:call];
  const Size groups = {threadgroupsPerGrid.width, threadgroupsPerGrid.height, threadgroupsPerGrid.depth};
  const Size group = {threadsPerThreadgroup.width, threadsPerThreadgroup.height, threadsPerThreadgroup.depth};
  const PipelineState& pipeline = _bindings.pipeline(call);
  check_threadgroup(call, pipeline, group);
  Size threads;
  threads_of(call, pipeline, groups, group, threads);
  [self dispatch:call threads:threads perThreadgroup:group];
}

- (void)dispatchThreadgroupsWithIndirectBuffer:(id<MTLBuffer>)indirectBuffer
                          indirectBufferOffset:(NSUInteger)offset
                         threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
  const char* const call = "-[MTLComputeCommandEncoder dispatchThreadgroupsWithIndirectBuffer:indirectBufferOffset:"
                           "threadsPerThreadgroup:]";
  [self checkIsOpen:call];
  const Size group = {threadsPerThreadgroup.width, threadsPerThreadgroup.height, threadsPerThreadgroup.depth};
  check_threadgroup(call, _bindings.pipeline(call), group);
  SoftwareBuffer* const buffer = buffer_argument(indirectBuffer, call);
  const NSUInteger length = [buffer length];
  const NSUInteger needed = sizeof(MTLDispatchThreadgroupsIndirectArguments);
  if (offset % 4 != 0 || offset > length || length - offset < needed) {
    refuse(std::string(call) + " got indirectBufferOffset " + text(offset) + " into a buffer of " + text(length) +
           " bytes; it must be a multiple of 4, with 12 bytes of the buffer behind it");
  }
  DispatchCommand command = _bindings.dispatch(call);
  copy_size(command.threads_per_threadgroup, group);
  command.is_indirect = true;
  command.threadgroups = {[buffer memory], offset};
  [_commandBuffer keep:buffer];
  [self take:std::move(command)];
}

// ---- order

/// Metal promises no order between the dispatches of a concurrent encoder, so they run in the one that the host least
/// expects.
- (void)orderHere {
  CommandList& commands = [_commandBuffer commands];
  if (_dispatchType == MTLDispatchTypeConcurrent) {
    commands.reverse_from(_firstUnordered);
  }
  _firstUnordered = commands.size();
}

- (void)memoryBarrierWithScope:(MTLBarrierScope)scope {
  [self checkIsOpen:"-[MTLComputeCommandEncoder memoryBarrierWithScope:]"];
  if (scope & MTLBarrierScopeBuffers) {
    [self orderHere];
  }
}

- (void)memoryBarrierWithResources:(const id<MTLResource>[])resources count:(NSUInteger)count {
  const char* const call = "-[MTLComputeCommandEncoder memoryBarrierWithResources:count:]";
  [self checkIsOpen:call];
  for (NSUInteger i = 0; i < count; ++i) {
    static_cast<void>(buffer_argument(resources[i], call));
  }
  if (count != 0) {
    [self orderHere];
  }
}

- (void)endEncoding {
  [super endEncoding];
  [self orderHere];
}

- (void)updateFence:(id<MTLFence>)fence {
  const char* const call = "-[MTLComputeCommandEncoder updateFence:]";
  [self checkIsOpen:call];
  check_kind(fence, [SoftwareFence class], "MTLFence", call);
}

- (void)waitForFence:(id<MTLFence>)fence {
  const char* const call = "-[MTLComputeCommandEncoder waitForFence:]";
  [self checkIsOpen:call];
  check_kind(fence, [SoftwareFence class], "MTLFence", call);
}

- (void)useResource:(id<MTLResource>)resource usage:(MTLResourceUsage)usage {
  const char* const call = "-[MTLComputeCommandEncoder useResource:usage:]";
  [self checkIsOpen:call];
  [_commandBuffer keep:buffer_argument(resource, call)];
}

- (void)useResources:(const id<MTLResource>[])resources count:(NSUInteger)count usage:(MTLResourceUsage)usage {
  for (NSUInteger i = 0; i < count; ++i) {
    [self useResource:resources[i] usage:usage];
  }
}

- (void)useHeap:(id<MTLHeap>)heap {
  const char* const call = "-[MTLComputeCommandEncoder useHeap:]";
  [self checkIsOpen:call];
  [_commandBuffer keep:argument<SoftwareHeap>(heap, "MTLHeap", call)];
}

@end

void metalsim_begin_operation(void* encoder) {
  [argument<SoftwareComputeCommandEncoder>((id)encoder, "MTLComputeCommandEncoder", "metalsim_begin_operation")
      beginOperation];
}
