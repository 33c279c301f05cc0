// C++ exceptions through message sends, blocks and dispatch_sync.
#include "check.h"

#include "diagnostics.h"

#include <stdexcept>

static int unwound = 0;

struct Guard {
  ~Guard() { ++unwound; }
};

struct Special : std::runtime_error {
  using std::runtime_error::runtime_error;
};

@interface Thrower : NSObject
@end

@implementation Thrower
- (int)fail:(int)depth with:(double)value {
  const Guard guard;
  NSString* text = [NSString stringWithFormat:@"depth %d", depth];
  if (depth == 0) {
    throw Special("value " + std::to_string(value));
  }
  return [self fail:depth - 1 with:value] + (int)text.length;
}
- (NSRange)failWithRange {
  throw Special("range");
}
@end

@interface LoudThrower : Thrower
@end

@implementation LoudThrower
- (int)fail:(int)depth with:(double)value {
  const Guard guard;
  return [super fail:depth with:value];
}
@end

static void check_messages() {
  Thrower* thrower = AUTORELEASED([[LoudThrower alloc] init]);
  bool is_caught = false;
  try {
    [thrower fail:5 with:1.5];
  } catch (const Special& error) {
    is_caught = std::string(error.what()) == "value 1.500000";
  }
  check(is_caught && unwound == 12);
  check_throws("range", [thrower] { [thrower failWithRange]; });
}

static void check_dispatch() {
  dispatch_queue_t queue = dispatch_queue_create("exceptions", DISPATCH_QUEUE_SERIAL);
  unwound = 0;
  check_throws("out of the block", [queue] {
    dispatch_sync(queue, ^{
      const Guard guard;
      throw Special("out of the block");
    });
  });
  check(unwound == 1);
  __block int ran = 0;
  dispatch_sync(queue, ^{
    ++ran; // the queue is free again
  });
  check(ran == 1);
  check_throws("from one iteration", [] {
    dispatch_apply(10, DISPATCH_APPLY_AUTO, ^(size_t index) {
      if (index == 3) {
        throw Special("from one iteration");
      }
    });
  });
  check_throws("once", [] {
    static dispatch_once_t predicate;
    dispatch_once(&predicate, ^{
      throw Special("once");
    });
  });
  dispatch_release(queue);
}

static void check_foundation() {
  check_throws("index 3 beyond bounds", [] { [@[ @1 ] objectAtIndex:3]; });
  check_throws("got nil", [] { [[NSMutableArray array] addObject:(id _Nonnull)nil]; });
  check_throws("mutated while being enumerated", [] {
    NSMutableArray* array = [NSMutableArray arrayWithArray:@[ @1, @2, @3 ]];
    for (id object in array) {
      [array removeObject:object];
    }
  });
}

int main() {
  @autoreleasepool {
    check_messages();
    check_dispatch();
    check_foundation();
  }
  check(metalsim_live_objects("LoudThrower") == 0);
}
