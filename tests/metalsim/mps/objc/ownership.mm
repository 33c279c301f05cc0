// Counting: retain and release, pools, properties, weak references, what is left alive.
#include "check.h"

#include "diagnostics.h"

static int deallocated = 0;

@interface Node : NSObject <NSCopying>
@property(strong) Node* next;
@property(nonatomic, copy) NSString* name;
@property(atomic, copy) void (^action)(void);
@property(atomic) struct _NSRange range;
#if __has_feature(objc_arc)
@property(nonatomic, weak) Node* parent;
#else
@property(nonatomic, assign) Node* parent;
#endif
+ (instancetype)node;
@end

@implementation Node
+ (instancetype)node {
  return AUTORELEASED([[self alloc] init]);
}
- (id)copyWithZone:(NSZone*)zone {
  return [[Node alloc] init];
}
- (void)dealloc {
  ++deallocated;
#if !__has_feature(objc_arc)
  [_next release];
  [_name release];
  [_action release];
#endif
  SUPER_DEALLOC;
}
@end

static void check_pools() {
  deallocated = 0;
  @autoreleasepool {
    [Node node];
    @autoreleasepool {
      for (int index = 0; index < 10; ++index) {
        [Node node];
      }
    }
    check(deallocated >= 10);
  }
  check(deallocated == 11 && metalsim_live_objects("Node") == 0);
}

static void check_properties() {
  deallocated = 0;
  @autoreleasepool {
    Node* node = [Node node];
    node.next = [Node node];
    node.next.parent = node;
    NSMutableString* name = [NSMutableString stringWithString:@"first"];
    node.name = name;
    [name appendString:@", changed"];
    check([node.name isEqualToString:@"first"]);
    __block int calls = 0;
    node.action = ^{
      ++calls;
    };
    node.action();
    check(calls == 1);
    node.range = NSMakeRange(3, 4);
    check(node.range.location == 3 && node.range.length == 4);
    check(node.next.parent == node);
    node.next = node.next; // to itself
    node.next = nil;
    node.action = nil;
  }
  check(deallocated == 2 && metalsim_live_objects("Node") == 0);
}

static void check_collections() {
  deallocated = 0;
  @autoreleasepool {
    NSMutableArray<Node*>* nodes = [NSMutableArray array];
    NSMutableDictionary<NSString*, Node*>* named = [NSMutableDictionary dictionary];
    @autoreleasepool {
      for (int index = 0; index < 5; ++index) {
        Node* node = [Node node];
        [nodes addObject:node];
        named[@(index).stringValue] = node;
      }
      [nodes removeObjectAtIndex:0];
    }
    check(deallocated == 0);
    @autoreleasepool {
      [nodes removeAllObjects];
      [named removeObjectForKey:@"1"];
      named[@"2"] = nil;
      named[@"3"] = [Node node];
    }
    check(deallocated == 3);
  }
  check(metalsim_live_objects("Node") == 0 && metalsim_live_objects("NSMutableArray") == 0);
}

#if __has_feature(objc_arc)
static void check_weak() {
  __weak Node* outside = nil;
  @autoreleasepool {
    Node* node = [[Node alloc] init];
    outside = node;
    __weak Node* other = outside;
    check(outside == node && other == node);
    void (^block)(void) = ^{
      check(other != nil);
    };
    block();
    node.next = [[Node alloc] init];
    node.next.parent = node;
    check(node.next.parent == node);
    node = nil;
  }
  check(outside == nil);
  __weak NSString* literal = @"never freed";
  check(literal != nil);
}
#else
static void check_weak() {}

static void check_counts() {
  Node* node = [[Node alloc] init];
  check([node retainCount] == 1);
  [node retain];
  check([node retainCount] == 2);
  [node release];
  NSAutoreleasePool* pool = [[NSAutoreleasePool alloc] init];
  [[node retain] autorelease];
  check([node retainCount] == 2);
  [pool drain];
  check([node retainCount] == 1);
  Node* other = [node copy];
  check(other != node && metalsim_live_objects("Node") == 2);
  [other release];
  [node release];
  check([@"literal" retain] == [@"literal" autorelease]);
}
#endif

int main() {
  check_pools();
  check_properties();
  check_collections();
  check_weak();
#if !__has_feature(objc_arc)
  check_counts();
#endif
  check(metalsim_live_objects("Node") == 0);
  check(metalsim_autoreleased_without_pool() == 0);
#if !__has_feature(objc_arc)
  [Node node];
  check(metalsim_autoreleased_without_pool() == 1);
#endif
}
