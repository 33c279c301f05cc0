#import "command_encoder.h"

#include "validation.h"

using namespace metalsim::metal;

@implementation SoftwareCommandEncoder {
  SoftwareCommandBuffer* _commandBuffer;
  bool _hasEnded;
  NSUInteger _debugGroups;
}

- (instancetype)initWithCommandBuffer:(SoftwareCommandBuffer*)commandBuffer {
  if ((self = [super init])) {
    _commandBuffer = [commandBuffer retain];
  }
  return self;
}

- (void)dealloc {
  if (!_hasEnded) {
    [_commandBuffer encoderWasAbandoned];
  }
  [_commandBuffer release];
  [super dealloc];
}

- (SoftwareCommandBuffer*)softwareCommandBuffer {
  return _commandBuffer;
}

- (void)checkIsOpen:(const char*)call {
  if (_hasEnded) {
    refuse(std::string(call) + " was sent to an encoder after endEncoding; take a new one from a command buffer");
  }
}

- (void)endEncoding {
  [self checkIsOpen:"-[MTLCommandEncoder endEncoding]"];
  _hasEnded = true;
  [_commandBuffer encoderHasEnded];
}

- (void)insertDebugSignpost:(NSString*)name {
  [self checkIsOpen:"-[MTLCommandEncoder insertDebugSignpost:]"];
}

- (void)pushDebugGroup:(NSString*)name {
  [self checkIsOpen:"-[MTLCommandEncoder pushDebugGroup:]"];
  ++_debugGroups;
}

- (void)popDebugGroup {
  [self checkIsOpen:"-[MTLCommandEncoder popDebugGroup]"];
  if (_debugGroups == 0) {
    refuse("-[MTLCommandEncoder popDebugGroup] was sent without a pushDebugGroup: before it; balance the two");
  }
  --_debugGroups;
}

@end
