// MPSCommandBuffer: a command buffer that is replaced by a new one of the same queue at commitAndContinue.
#import "objects.h"

#include "validation.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

using namespace metalsim::metal;

@implementation MPSCommandBuffer {
  id<MTLCommandBuffer> _current;
}

+ (instancetype)commandBufferWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
  return [[[self alloc] initWithCommandBuffer:commandBuffer] autorelease];
}

+ (instancetype)commandBufferFromCommandQueue:(id<MTLCommandQueue>)commandQueue {
  return [self commandBufferWithCommandBuffer:[commandQueue commandBuffer]];
}

- (instancetype)initWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
  if ((self = [super init])) {
    if (commandBuffer == nil) {
      [self release];
      refuse("-[MPSCommandBuffer initWithCommandBuffer:] got nil; it must be an id<MTLCommandBuffer>");
    }
    _current = [commandBuffer retain];
  }
  return self;
}

- (void)dealloc {
  [_current release];
  [super dealloc];
}

- (id<MTLCommandBuffer>)commandBuffer {
  return _current;
}

- (id<MTLCommandBuffer>)rootCommandBuffer {
  return _current;
}

- (void)commitAndContinue {
  id<MTLCommandQueue> const queue = [_current commandQueue];
  id<MTLCommandBuffer> const next =
      [_current retainedReferences] ? [queue commandBuffer] : [queue commandBufferWithUnretainedReferences];
  [next retain];
  [_current commit];
  [_current release];
  _current = next;
}

// ---- the rest goes to the current command buffer

- (id<MTLDevice>)device {
  return [_current device];
}

- (id<MTLCommandQueue>)commandQueue {
  return [_current commandQueue];
}

- (BOOL)retainedReferences {
  return [_current retainedReferences];
}

- (MTLCommandBufferErrorOption)errorOptions {
  return [_current errorOptions];
}

- (NSString*)label {
  return [_current label];
}

- (void)setLabel:(NSString*)label {
  [_current setLabel:label];
}

- (CFTimeInterval)kernelStartTime {
  return [_current kernelStartTime];
}

- (CFTimeInterval)kernelEndTime {
  return [_current kernelEndTime];
}

- (CFTimeInterval)GPUStartTime {
  return [_current GPUStartTime];
}

- (CFTimeInterval)GPUEndTime {
  return [_current GPUEndTime];
}

- (void)enqueue {
  [_current enqueue];
}

- (void)commit {
  [_current commit];
}

- (void)addScheduledHandler:(MTLCommandBufferHandler)handler {
  [_current addScheduledHandler:handler];
}

- (void)waitUntilScheduled {
  [_current waitUntilScheduled];
}

- (void)addCompletedHandler:(MTLCommandBufferHandler)handler {
  [_current addCompletedHandler:handler];
}

- (void)waitUntilCompleted {
  [_current waitUntilCompleted];
}

- (MTLCommandBufferStatus)status {
  return [_current status];
}

- (NSError*)error {
  return [_current error];
}

- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
  return [_current blitCommandEncoder];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
  return [_current computeCommandEncoder];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDescriptor:(MTLComputePassDescriptor*)descriptor {
  return [_current computeCommandEncoderWithDescriptor:descriptor];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDispatchType:(MTLDispatchType)dispatchType {
  return [_current computeCommandEncoderWithDispatchType:dispatchType];
}

- (void)encodeWaitForEvent:(id<MTLEvent>)event value:(uint64_t)value {
  [_current encodeWaitForEvent:event value:value];
}

- (void)encodeSignalEvent:(id<MTLEvent>)event value:(uint64_t)value {
  [_current encodeSignalEvent:event value:value];
}

- (void)pushDebugGroup:(NSString*)name {
  [_current pushDebugGroup:name];
}

- (void)popDebugGroup {
  [_current popDebugGroup];
}

@end
