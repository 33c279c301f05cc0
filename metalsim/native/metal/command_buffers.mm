#import "command_buffers.h"

#import "blit_encoder.h"
#import "compute_encoder.h"
#import "events.h"
#include "polls.h"
#include "settings.h"
#include "validation.h"

#include <atomic>
#include <mutex>

NSErrorDomain const MTLCommandBufferErrorDomain = @"MTLCommandBufferErrorDomain";

using namespace metalsim::metal;

namespace {

const char* const kAbandonedEncoder = "a command encoder was released without endEncoding; send endEncoding to every "
                                      "encoder before the last reference to it goes";

} // namespace

@implementation SoftwareCommandBuffer {
  SoftwareCommandQueue* _queue;
  BOOL _retainedReferences;
  std::shared_ptr<Submission> _submission;
  std::vector<id> _kept;
  std::vector<MTLCommandBufferHandler> _scheduledHandlers, _completedHandlers;
  bool _isEncoding;
  bool _hasAbandonedEncoder;
  bool _isCommitRefused;
  std::atomic<uint32_t> _polls;
}

- (instancetype)initWithQueue:(SoftwareCommandQueue*)queue retainedReferences:(BOOL)retained {
  if ((self = [super init])) {
    _queue = [queue retain];
    _retainedReferences = retained;
    _submission = std::make_shared<Submission>();
  }
  return self;
}

- (void)dealloc {
  if (_hasAbandonedEncoder && !_isCommitRefused) {
    refuse_fatally(kAbandonedEncoder);
  }
  [self letGo];
  [_queue release];
  [super dealloc];
}

/// Releases what was kept for the commands and the handlers.
- (void)letGo {
  const std::vector<id> kept = std::exchange(_kept, {});
  for (id object : kept) {
    [object release];
  }
  for (auto* handlers : {&_scheduledHandlers, &_completedHandlers}) {
    const std::vector<MTLCommandBufferHandler> copies = std::exchange(*handlers, {});
    for (MTLCommandBufferHandler handler : copies) {
      [handler release];
    }
  }
}

// ---- for encoders

- (CommandList&)commands {
  return _submission->commands;
}

- (void)append:(Command)command {
  _submission->commands.append(std::move(command));
  if (settings().execution == Execution::eager) {
    _submission->run_commands();
  }
}

- (void)runObserved:(const DispatchCommand&)dispatch {
  [_queue execution]->run_committed();
  _submission->run_commands();
  if (!_submission->has_failed()) {
    _submission->add_products(run_observed(dispatch));
  }
}

- (void)keep:(id)object {
  if (_retainedReferences) {
    _kept.push_back([object retain]);
  }
}

- (void)encoderHasEnded {
  _isEncoding = false;
}

- (void)encoderWasAbandoned {
  if (settings().validation == Validation::abort) {
    refuse_fatally(kAbandonedEncoder);
  }
  _hasAbandonedEncoder = true;
  _isEncoding = false;
}

// ---- encoding

- (void)checkIsOpen:(const char*)call {
  if (_submission->stage() >= Submission::Stage::committed) {
    refuse(std::string(call) + " was sent to a command buffer that has been committed; take a new one from the queue");
  }
  if (_isEncoding) {
    refuse(std::string(call) + " was sent to a command buffer on which an encoder is active; send endEncoding to that "
                               "encoder first");
  }
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
  return [self computeCommandEncoderWithDispatchType:MTLDispatchTypeSerial];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDispatchType:(MTLDispatchType)dispatchType {
  [self checkIsOpen:"-[MTLCommandBuffer computeCommandEncoder]"];
  _isEncoding = true;
  return [[[SoftwareComputeCommandEncoder alloc] initWithCommandBuffer:self dispatchType:dispatchType] autorelease];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDescriptor:(MTLComputePassDescriptor*)descriptor {
  check_kind(descriptor, [MTLComputePassDescriptor class], "MTLComputePassDescriptor",
             "-[MTLCommandBuffer computeCommandEncoderWithDescriptor:]");
  return [self computeCommandEncoderWithDispatchType:descriptor.dispatchType];
}

- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
  [self checkIsOpen:"-[MTLCommandBuffer blitCommandEncoder]"];
  _isEncoding = true;
  return [[[SoftwareBlitCommandEncoder alloc] initWithCommandBuffer:self] autorelease];
}

- (void)encodeSignalEvent:(id<MTLEvent>)event value:(uint64_t)value {
  const char* const call = "-[MTLCommandBuffer encodeSignalEvent:value:]";
  [self checkIsOpen:call];
  SoftwareEvent* const signaled = argument<SoftwareEvent>(event, "MTLEvent", call);
  [self keep:event];
  _submission->has_observers = true;
  const std::shared_ptr<EventState> state = [signaled state];
  [self append:OtherCommand([state, value] { state->signal(value); })];
}

- (void)encodeWaitForEvent:(id<MTLEvent>)event value:(uint64_t)value {
  const char* const call = "-[MTLCommandBuffer encodeWaitForEvent:value:]";
  [self checkIsOpen:call];
  SoftwareEvent* const awaited = argument<SoftwareEvent>(event, "MTLEvent", call);
  [self keep:event];
  const std::shared_ptr<EventState> state = [awaited state];
  [self append:OtherCommand([state, value] { state->wait_on_gpu(value); })];
}

- (void)pushDebugGroup:(NSString*)name {
}

- (void)popDebugGroup {
}

// ---- execution

- (void)enqueue {
  if (_submission->stage() >= Submission::Stage::enqueued) {
    refuse("-[MTLCommandBuffer enqueue] was sent to a command buffer that has been enqueued or committed; enqueue it "
           "once, before the commit");
  }
  [_queue execution]->enqueue(_submission);
}

- (void)checkMayCommit {
  const char* const call = "-[MTLCommandBuffer commit]";
  if (_submission->stage() >= Submission::Stage::committed) {
    refuse(std::string(call) + " was sent to a command buffer that has been committed; commit it once");
  }
  if (_hasAbandonedEncoder) {
    _isCommitRefused = true;
    refuse(std::string(call) + " found that " + kAbandonedEncoder);
  }
  if (_isEncoding) {
    refuse(std::string(call) + " was sent to a command buffer on which an encoder is active; send endEncoding to that "
                               "encoder first");
  }
}

- (void)commit {
  [self checkMayCommit];
  // The queue keeps a command buffer until it has completed.
  [self retain];
  if (!_scheduledHandlers.empty()) {
    _submission->scheduled_handlers = [self] {
      for (MTLCommandBufferHandler handler : _scheduledHandlers) {
        handler(self);
      }
    };
  }
  _submission->completed_handlers = [self] {
    @autoreleasepool {
      for (MTLCommandBufferHandler handler : _completedHandlers) {
        handler(self);
      }
      [self letGo];
      [self release];
    }
  };
  [_queue execution]->commit(_submission);
}

- (void)addHandler:(MTLCommandBufferHandler)handler
                to:(std::vector<MTLCommandBufferHandler>&)handlers
              call:(const char*)call {
  if (_submission->stage() >= Submission::Stage::committed) {
    refuse(std::string(call) + " was sent to a command buffer that has been committed; add handlers before the commit");
  }
  if (handler == nil) {
    refuse(std::string(call) + " got nil; it must be a block");
  }
  _submission->has_observers = true;
  handlers.push_back([handler copy]);
}

- (void)addScheduledHandler:(MTLCommandBufferHandler)handler {
  [self addHandler:handler to:_scheduledHandlers call:"-[MTLCommandBuffer addScheduledHandler:]"];
}

- (void)addCompletedHandler:(MTLCommandBufferHandler)handler {
  [self addHandler:handler to:_completedHandlers call:"-[MTLCommandBuffer addCompletedHandler:]"];
}

- (void)checkIsCommitted:(const char*)call {
  if (_submission->stage() < Submission::Stage::committed) {
    refuse(std::string(call) + " was sent to a command buffer that has not been committed, and would wait forever; "
                               "commit it first");
  }
}

- (void)waitUntilScheduled {
  [self checkIsCommitted:"-[MTLCommandBuffer waitUntilScheduled]"];
  [_queue execution]->wait_until_scheduled(*_submission);
}

- (void)waitUntilCompleted {
  [self checkIsCommitted:"-[MTLCommandBuffer waitUntilCompleted]"];
  [_queue execution]->wait_until_completed(*_submission);
}

- (MTLCommandBufferStatus)status {
  if (_submission->stage() == Submission::Stage::committed && ++_polls % kPollsOfOneWait == 0 &&
      settings().execution == Execution::deferred) {
    while (!_submission->is_finished() && [_queue execution]->try_run_one()) {
    }
  }
  return static_cast<MTLCommandBufferStatus>(_submission->stage());
}

- (NSError*)error {
  if (_submission->stage() != Submission::Stage::failed) {
    return nil;
  }
  return command_buffer_error(_submission->failure());
}

- (MTLCommandBufferErrorOption)errorOptions {
  return MTLCommandBufferErrorOptionNone;
}

- (id<MTLCommandQueue>)commandQueue {
  return _queue;
}

- (BOOL)retainedReferences {
  return _retainedReferences;
}

- (CFTimeInterval)kernelStartTime {
  return _submission->is_finished() ? _submission->start_time : 0;
}

- (CFTimeInterval)kernelEndTime {
  return _submission->is_finished() ? _submission->end_time : 0;
}

- (CFTimeInterval)GPUStartTime {
  return [self kernelStartTime];
}

- (CFTimeInterval)GPUEndTime {
  return [self kernelEndTime];
}

@end

namespace metalsim::metal {

NSError* command_buffer_error(std::exception_ptr failure) {
  NSError* error = nil;
  try {
    std::rethrow_exception(failure);
  } catch (const ExecutionFailed& failed) {
    fail(&error, MTLCommandBufferErrorDomain, static_cast<NSInteger>(failed.code()), failed.what());
  } catch (const std::exception& exception) {
    fail(&error, MTLCommandBufferErrorDomain, MTLCommandBufferErrorInvalidResource, exception.what());
  } catch (...) {
    fail(&error, MTLCommandBufferErrorDomain, MTLCommandBufferErrorInternal, "the commands failed for no known reason");
  }
  return error;
}

} // namespace metalsim::metal
