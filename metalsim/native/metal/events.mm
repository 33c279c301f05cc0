#import "events.h"

#include "validation.h"

using namespace metalsim::metal;

@implementation SoftwareEvent {
  std::shared_ptr<EventState> _state;
}

- (instancetype)init {
  if ((self = [super init])) {
    _state = std::make_shared<EventState>();
  }
  return self;
}

- (const std::shared_ptr<EventState>&)state {
  return _state;
}

@end

@implementation SoftwareSharedEvent

- (uint64_t)signaledValue {
  return [self state]->poll();
}

- (void)setSignaledValue:(uint64_t)value {
  [self state]->signal(value);
}

- (void)notifyListener:(MTLSharedEventListener*)listener
               atValue:(uint64_t)value
                 block:(MTLSharedEventNotificationBlock)block {
  const char* const call = "-[MTLSharedEvent notifyListener:atValue:block:]";
  check_kind(listener, [MTLSharedEventListener class], "MTLSharedEventListener", call);
  if (block == nil) {
    refuse(std::string(call) + " got no block; it must be called with something to call");
  }
  const MTLSharedEventNotificationBlock kept = [block copy];
  const dispatch_queue_t queue = listener.dispatchQueue;
  [self retain];
  [(id)queue retain];
  [self state]->notify(value, [self, kept, queue](uint64_t reached) {
    dispatch_async(queue, ^{
      kept(self, reached);
      [kept release];
      [self release];
    });
    [(id)queue release];
  });
}

- (BOOL)waitUntilSignaledValue:(uint64_t)value timeoutMS:(uint64_t)milliseconds {
  return [self state]->wait_on_host(value, milliseconds);
}

@end

@implementation MTLSharedEventListener {
  dispatch_queue_t _queue;
}

- (instancetype)init {
  if ((self = [super init])) {
    _queue = dispatch_queue_create("MTLSharedEventListener", DISPATCH_QUEUE_SERIAL);
  }
  return self;
}

+ (MTLSharedEventListener*)sharedListener {
  static MTLSharedEventListener* const shared = [[MTLSharedEventListener alloc] init];
  return shared;
}

- (instancetype)initWithDispatchQueue:(dispatch_queue_t)queue {
  if ((self = [super init])) {
    _queue = [(id)queue retain];
  }
  return self;
}

- (void)dealloc {
  [(id)_queue release];
  [super dealloc];
}

- (dispatch_queue_t)dispatchQueue {
  return _queue;
}

@end

@implementation SoftwareFence
@end
