// Classes, categories, protocols, instance variables, +load and +initialize, static constructors.
#include "check.h"

#include "diagnostics.h"

#include <objc/runtime.h>
#include <vector>

static std::vector<std::string>& events() {
  static std::vector<std::string> all;
  return all;
}

@protocol Shape <NSObject>
@property(nonatomic, readonly) double area;
- (double)scaled:(double)factor;
@optional
- (void)draw;
@end

@protocol Solid <Shape>
- (double)volume;
@end

@interface Square : NSObject <Shape>
@property(nonatomic) double side;
+ (instancetype)squareWithSide:(double)side;
@end

// What a class extension adds: C++ members, constructed and destroyed with the object.
@interface Square () {
  std::string m_text;
  std::vector<int> m_values;
}
@end

@implementation Square
+ (void)load {
  events().push_back("load Square");
}
+ (void)initialize {
  events().push_back(std::string("initialize ") + class_getName(self));
}
+ (instancetype)squareWithSide:(double)side {
  Square* square = [[self alloc] init];
  square.side = side;
  square->m_text = "a text that is too long for the small strings of the standard library";
  square->m_values = {1, 2, 3};
  return AUTORELEASED(square);
}
- (double)area {
  return _side * _side;
}
- (double)scaled:(double)factor {
  return self.area * factor;
}
@end

@interface Square (Counting)
- (size_t)values;
@end

@implementation Square (Counting)
+ (void)load {
  events().push_back("load Counting");
}
- (size_t)values {
  return self->m_values.size();
}
@end

@interface Cube : Square <Solid> {
  std::string m_name;
}
@end

@implementation Cube
- (instancetype)init {
  if ((self = [super init])) {
    m_name = "cube";
  }
  return self;
}
- (double)volume {
  return self.area * self.side;
}
- (const std::string&)name {
  return m_name;
}
@end

/// A class of another library as superclass: its instance variables' size is known at run time only.
@interface Bag : NSMutableArray {
  long m_tag;
}
@property long tag;
@end

@implementation Bag
@synthesize tag = m_tag;
@end

@interface NSArray (First)
- (id)second;
@end

@implementation NSArray (First)
- (id)second {
  return self[1];
}
@end

@interface Incomplete : NSObject
@end
@implementation Incomplete
- (double)area {
  return 1;
}
@end

// A static constructor may send messages.
static NSString* const kEarly = [NSString stringWithFormat:@"%d", 7];
static const NSUInteger kEarlyCount = @[ @1, @2 ].count;

static void check_protocols() {
  Cube* cube = [Cube squareWithSide:2];
  check([cube conformsToProtocol:@protocol(Shape)] && [Cube conformsToProtocol:@protocol(Solid)]);
  check(![[Square squareWithSide:1] conformsToProtocol:@protocol(Solid)]);
  check([cube respondsToSelector:@selector(volume)] && ![cube respondsToSelector:@selector(draw)]);
  check([Cube instancesRespondToSelector:@selector(area)]);
  check(@protocol(Shape) == objc_getProtocol("Shape"));
  id<Solid> solid = cube;
  check([solid volume] == 8 && [solid scaled:3] == 12);
  char missing[256];
  check(metalsim_missing_methods("Cube", "Solid", missing, sizeof missing) == 0);
  check(metalsim_missing_methods("Incomplete", "Shape", missing, sizeof missing) > 0);
  check(std::string(missing).find("scaled:") != std::string::npos);
}

static void check_introspection() {
  Cube* cube = [Cube squareWithSide:2];
  check([cube isKindOfClass:[Square class]] && ![cube isMemberOfClass:[Square class]]);
  check([cube superclass] == [Square class] && [Cube superclass] == [Square class]);
  check([NSStringFromClass([cube class]) isEqualToString:@"Cube"] && NSClassFromString(@"Cube") == [Cube class]);
  check(NSClassFromString(@"NoSuchClass") == nil);
  check([NSStringFromSelector(@selector(scaled:)) isEqualToString:@"scaled:"]);
  check([[cube description] hasPrefix:@"<Cube: 0x"]);
  check([Cube class] == object_getClass(cube) && class_isMetaClass(object_getClass([Cube class])));
  check([[Cube class] isKindOfClass:[NSObject class]] && [[Cube description] isEqualToString:@"Cube"]);
}

static void check_instance_variables() {
  Cube* cube = [Cube squareWithSide:2];
  check([cube values] == 3 && [cube name] == "cube" && cube.side == 2);
  Bag* bag = AUTORELEASED([[Bag alloc] init]);
  bag.tag = 5;
  [bag addObject:@"x"];
  [bag addObject:@"y"];
  check(bag.tag == 5 && bag.count == 2 && [[bag second] isEqual:@"y"]);
}

int main() {
  check(events().size() == 2 && events()[0] == "load Square" && events()[1] == "load Counting");
  @autoreleasepool {
    check([kEarly isEqualToString:@"7"] && kEarlyCount == 2);
    [Cube class];
    check(events().size() == 4 && events()[2] == "initialize Square" && events()[3] == "initialize Cube");
    check_protocols();
    check_introspection();
    check_instance_variables();
    check(events().size() == 4);
  }
  check(metalsim_live_objects("Cube") == 0 && metalsim_live_objects("Bag") == 0);
  check(metalsim_live_objects("NoSuchClass") == -1);
}
