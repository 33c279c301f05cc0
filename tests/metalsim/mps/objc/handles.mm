// Objects behind addresses with bit 63 set.
#include "check.h"

#include "handles.h"

#include <stdexcept>

@interface Hidden : NSObject
- (int)number;
- (NSRange)range;
@end

@implementation Hidden
- (int)number {
  return 42;
}
- (NSRange)range {
  return NSMakeRange(1, 2);
}
@end

static void* the_object = nullptr;
constexpr uintptr_t kHandle = uintptr_t{1} << 63 | uintptr_t{5} << 40;

static void* resolve(void* handle) {
  if ((uintptr_t)handle != kHandle || the_object == nullptr) {
    throw std::runtime_error("no buffer has this address");
  }
  return the_object;
}

int main() {
  @autoreleasepool {
    // The software Metal resolves handles until it is told otherwise, and has made no buffer.
    check_throws("an MTLBuffer that has been released", [] { [(__bridge id)(void*)kHandle description]; });
    metalsim_set_handle_resolver(resolve);
    static Hidden* const hidden = [[Hidden alloc] init];
    the_object = (__bridge void*)hidden;
    Hidden* handle = (__bridge Hidden*)(void*)kHandle;
    check([handle number] == 42 && [handle range].length == 2);
    check([handle isKindOfClass:[Hidden class]]);
    NSArray* array = @[ handle ];
    check([array[0] number] == 42 && (__bridge void*)array[0] == (void*)kHandle);
    check_throws("no buffer has this address", [] { [(__bridge id)(void*)(kHandle + 4) description]; });
  }
}
