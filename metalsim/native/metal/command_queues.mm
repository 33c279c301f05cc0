#import "command_queues.h"

#import "command_buffers.h"

using namespace metalsim::metal;

@implementation SoftwareCommandQueue {
  std::shared_ptr<ExecutionQueue> _execution;
}

- (instancetype)init {
  if ((self = [super init])) {
    _execution = ExecutionQueue::create();
  }
  return self;
}

- (void)dealloc {
  _execution->close();
  [super dealloc];
}

- (const std::shared_ptr<ExecutionQueue>&)execution {
  return _execution;
}

- (id<MTLCommandBuffer>)commandBuffer {
  return [[[SoftwareCommandBuffer alloc] initWithQueue:self retainedReferences:YES] autorelease];
}

- (id<MTLCommandBuffer>)commandBufferWithUnretainedReferences {
  return [[[SoftwareCommandBuffer alloc] initWithQueue:self retainedReferences:NO] autorelease];
}

- (id<MTLCommandBuffer>)commandBufferWithDescriptor:(MTLCommandBufferDescriptor*)descriptor {
  check_kind(descriptor, [MTLCommandBufferDescriptor class], "MTLCommandBufferDescriptor",
             "-[MTLCommandQueue commandBufferWithDescriptor:]");
  return descriptor.retainedReferences ? [self commandBuffer] : [self commandBufferWithUnretainedReferences];
}

@end
