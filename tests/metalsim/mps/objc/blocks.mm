// Blocks: captures, __block variables, copies, blocks as objects.
#include "check.h"

#include "diagnostics.h"

#include <Block.h>

static int destroyed = 0;

struct Counted {
  Counted() = default;
  Counted(const Counted&) = default;
  ~Counted() { ++destroyed; }
  int value = 3;
};

@interface Captured : NSObject
@end
@implementation Captured
@end

typedef int (^Adder)(int);

static Adder adder(int first) {
  return AUTORELEASED([^(int second) {
    return first + second;
  } copy]);
}

static void check_variables() {
  __block int count = 0;
  __block NSString* text = @"before";
  void (^increase)(void) = ^{
    ++count;
    text = @"after";
  };
  increase();
  void (^copy)(void) = AUTORELEASED([increase copy]);
  copy();
  increase();
  check(count == 3 && [text isEqual:@"after"]);
}

static void check_captures() {
  @autoreleasepool {
    Adder inner = nil;
    @autoreleasepool {
      Captured* object = AUTORELEASED([[Captured alloc] init]);
      const Counted counted;
      Adder block = ^(int value) {
        return [object isKindOfClass:[Captured class]] ? value + counted.value : 0;
      };
      inner = [block copy];
    }
    check(metalsim_live_objects("Captured") == 1);
    check(inner(4) == 7);
#if !__has_feature(objc_arc)
    [inner release];
#endif
    inner = nil;
  }
  check(metalsim_live_objects("Captured") == 0 && destroyed == 3);
}

static void check_objects() {
  NSArray<Adder>* adders = @[ adder(1), adder(10) ];
  int sum = 0;
  for (Adder each in adders) {
    sum += each(5);
  }
  check(sum == 21);
  check([adders[0] isKindOfClass:NSClassFromString(@"NSBlock")]);
  const std::function<int(int)> function = adder(100);
  check(function(1) == 101);
  Adder global = ^(int value) {
    return value;
  };
  check(global(3) == 3 && [(id)global copy] == (id)global);
}

static void check_nested() {
  __block int calls = 0;
  void (^outer)(void) = ^{
    void (^inner)(void) = ^{
      ++calls;
    };
    inner();
    dispatch_block_t copy = AUTORELEASED([inner copy]);
    copy();
  };
  dispatch_block_t kept = AUTORELEASED([outer copy]);
  kept();
  check(calls == 2);
}

#if !__has_feature(objc_arc)
static void check_c_functions() {
  int value = 5;
  Adder copy = Block_copy(^(int other) {
    return value + other;
  });
  check(copy(1) == 6);
  Block_release(copy);
}
#endif

int main() {
  @autoreleasepool {
    check_variables();
    check_captures();
    check_objects();
    check_nested();
#if !__has_feature(objc_arc)
    check_c_functions();
#endif
  }
  check(metalsim_live_objects("Captured") == 0);
}
