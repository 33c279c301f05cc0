// MTLCommandBuffer.
#pragma once

#import "command_queues.h"

@class SoftwareCommandEncoder;

@interface SoftwareCommandBuffer : SoftwareObject <MTLCommandBuffer>

- (nonnull instancetype)initWithQueue:(nonnull SoftwareCommandQueue*)queue retainedReferences:(BOOL)retained;

// For its encoders.

- (metalsim::metal::CommandList&)commands;
/// Adds a command; runs it at once if the mode is eager.
- (void)append:(metalsim::metal::Command)command;
/// Runs everything that was encoded or committed before, then the dispatch, under the compiler's checks. Throws what
/// they find.
- (void)runObserved:(const metalsim::metal::DispatchCommand&)dispatch;
/// Keeps an object until the commands have run, unless references are not retained.
- (void)keep:(nullable id)object;
- (void)encoderHasEnded;
/// An encoder is gone without endEncoding: the commit will be refused.
- (void)encoderWasAbandoned;

@end

namespace metalsim::metal {

/// What made a command buffer fail, as an NSError.
NSError* _Nonnull command_buffer_error(std::exception_ptr failure);

} // namespace metalsim::metal
