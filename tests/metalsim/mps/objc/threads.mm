// Several threads at once: messages, counts, weak references, pools, +initialize, @synchronized.
#include "check.h"

#include "diagnostics.h"

#include <atomic>
#include <thread>
#include <vector>

static std::atomic<int> initialized{0};

@interface Shared : NSObject
@property(atomic, copy) NSString* text;
@property(nonatomic) long count;
@end

@implementation Shared
+ (void)initialize {
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ++initialized;
}
- (BOOL)isReady {
  return initialized == 1;
}
#if !__has_feature(objc_arc)
- (void)dealloc {
  [_text release];
  [super dealloc];
}
#endif
@end

static void on_threads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&work, index] {
      @autoreleasepool {
        work(index);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

int main() {
  @autoreleasepool {
    on_threads([](int) {
      Shared* own = AUTORELEASED([[Shared alloc] init]); // the first message to the class, on all threads
      check([own isReady]);
    });
    check(initialized == 1);
    Shared* shared = AUTORELEASED([[Shared alloc] init]);
    shared.text = @"start";
    on_threads([shared](int thread) {
      for (int round = 0; round < 2000; ++round) {
        @autoreleasepool {
          shared.text = [NSString stringWithFormat:@"thread %d round %d", thread, round];
          check(shared.text.length > 0);
          NSMutableArray* array = [NSMutableArray arrayWithObject:shared];
          [array addObject:shared];
          @synchronized(shared) {
            @synchronized(shared) {
              ++shared.count;
            }
          }
        }
      }
    });
    check(shared.count == 8000);
#if __has_feature(objc_arc)
    for (int round = 0; round < 200; ++round) {
      Shared* target = [[Shared alloc] init];
      __weak Shared* weak = target;
      std::thread reader([&weak] {
        while (Shared* seen = weak) {
          check([seen isReady]);
        }
      });
      target = nil;
      reader.join();
      check(weak == nil);
    }
#endif
  }
  check(metalsim_live_objects("Shared") == 0);
}
