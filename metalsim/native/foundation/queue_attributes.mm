// DISPATCH_QUEUE_CONCURRENT, an object that nobody allocates.
#include "queue_attributes.h"

#include "../objc/objects.h"

@interface MetalsimQueueAttributes : NSObject <OS_dispatch_queue_attr>
@end

@implementation MetalsimQueueAttributes

+ (void)load {
  metalsim_has_uncounted_objects(self);
}

- (instancetype)retain {
  return self;
}

- (oneway void)release {
}

- (instancetype)autorelease {
  return self;
}

@end

struct dispatch_queue_attr_s {
  Class isa;
};

dispatch_queue_attr_s _dispatch_queue_attr_concurrent;

__attribute__((constructor(102))) static void make_attributes() {
  _dispatch_queue_attr_concurrent.isa = [MetalsimQueueAttributes class];
}

bool metalsim::foundation::is_concurrent(dispatch_queue_attr_t attributes) {
  return attributes == DISPATCH_QUEUE_CONCURRENT;
}

// Priorities are not modelled.
dispatch_queue_attr_t dispatch_queue_attr_make_with_qos_class(dispatch_queue_attr_t attributes,
                                                              dispatch_qos_class_t qos, int relative_priority) {
  return attributes;
}
