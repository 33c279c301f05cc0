// Mistakes that end the process; the argument chooses one.
#include "check.h"

@interface Victim : NSObject
@end
@implementation Victim
@end

int main(int, char** arguments) {
  const std::string fault = arguments[1];
#if !__has_feature(objc_arc)
  @autoreleasepool {
    Victim* victim = [[Victim alloc] init];
    if (fault == "over-release") {
      [victim autorelease];
      [victim autorelease];
      [victim autorelease];
    } else if (fault == "message to freed") {
      [victim release];
      [victim description];
    }
  }
#endif
  if (fault == "semaphore") {
    dispatch_semaphore_t semaphore = dispatch_semaphore_create(1);
    dispatch_semaphore_wait(semaphore, DISPATCH_TIME_FOREVER);
    dispatch_release(semaphore);
    semaphore = nil;
  } else if (fault == "asynchronous exception") {
    dispatch_queue_t queue = dispatch_queue_create("q", nullptr);
    dispatch_async(queue, ^{
      throw std::runtime_error("nobody catches this");
    });
    dispatch_sync(queue, ^{
                  });
  }
}
