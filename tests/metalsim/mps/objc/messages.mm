// Message send: arguments and results of all kinds, super, nil, unknown selectors, full caches.
#include "check.h"

#include <objc/message.h>
#include <objc/runtime.h>

typedef struct {
  NSUInteger width, height, depth;
} Size;
typedef struct {
  double x, y;
} Point;
typedef struct {
  float values[16];
} Matrix;

@interface Base : NSObject
- (Size)sizeFrom:(NSUInteger)start;
- (int)number;
+ (int)classNumber;
@end

@implementation Base
- (Size)sizeFrom:(NSUInteger)start {
  return Size{start, start + 1, start + 2};
}
- (int)number {
  return 1;
}
+ (int)classNumber {
  return 10;
}
@end

@interface Derived : Base
@end

@implementation Derived
- (Size)sizeFrom:(NSUInteger)start {
  Size size = [super sizeFrom:start];
  size.depth += 100;
  return size;
}
- (int)number {
  return [super number] + 1;
}
+ (int)classNumber {
  return [super classNumber] + 1;
}
- (Point)pointWithX:(double)x y:(float)y {
  return Point{x, y};
}
- (Matrix)matrixWith:(float)value {
  Matrix matrix{};
  matrix.values[15] = value;
  return matrix;
}
- (long double)half:(long double)value {
  return value / 2;
}
- (double)sum:(int)a
            b:(long)b
            c:(float)c
            d:(double)d
            e:(Size)e
            f:(char)f
            g:(short)g
            h:(const char*)h
            i:(int)i
            j:(double)j {
  return a + b + c + d + (double)(e.width + e.height + e.depth) + f + g + (double)strlen(h) + i + j;
}
- (double)eight:(double)a
              b:(double)b
              c:(double)c
              d:(double)d
              e:(double)e
              f:(double)f
              g:(double)g
              h:(double)h
              i:(double)i {
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i;
}
- (double)sumOf:(int)count, ... {
  va_list arguments;
  va_start(arguments, count);
  double sum = 0;
  for (int index = 0; index < count; ++index) {
    sum += va_arg(arguments, double);
  }
  va_end(arguments);
  return sum;
}
- (BOOL)yes {
  return YES;
}
@end

@interface Base (Undeclared)
- (void)noSuchMethod:(int)value;
+ (void)noSuchClassMethod;
@end

static void check_arguments(Derived* object) {
  check([object sum:1 b:2 c:3 d:4 e:Size{5, 6, 7} f:8 g:9 h:"ab" i:10 j:0.5] == 57.5);
  check([object eight:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1] == 45);
  check([object sumOf:4, 1.0, 2.0, 3.0, 4.5] == 10.5);
  check([object sizeFrom:5].depth == 107);
  const Point point = [object pointWithX:1.5 y:2.5f];
  check(point.x == 1.5 && point.y == 2.5);
  check([object matrixWith:3].values[15] == 3);
  check([object half:3.0L] == 1.5L);
  check([object yes]);
}

static void check_nil() {
  Derived* none = nil;
  check([none number] == 0);
  check([none sizeFrom:1].width == 0 && [none sizeFrom:1].depth == 0);
  check([none half:3.0L] == 0);
  check([none pointWithX:1 y:2].x == 0);
  check([none matrixWith:3].values[15] == 0);
  check(![none yes]);
  check([none sum:1 b:2 c:3 d:4 e:Size {} f:0 g:0 h:"" i:0 j:0] == 0);
}

static void check_unknown(Base* object) {
  check_throws("-[Derived noSuchMethod:]: unrecognized selector sent to instance 0x",
               [object] { [object noSuchMethod:3]; });
  check_throws("+[Derived noSuchClassMethod]: unrecognized selector sent to class",
               [] { [Derived noSuchClassMethod]; });
  check([object number] == 2);
}

@interface Base (Many)
- (BOOL)isStrange;
@end

@implementation Base (Many)
- (BOOL)isStrange {
  return NO;
}
@end

/// More selectors than a cache has places, all of which collide sooner or later.
static void check_many_selectors(Base* object) {
  for (int round = 0; round < 3; ++round) {
    for (int index = 0; index < 500; ++index) {
      const std::string name = "unknown" + std::to_string(index);
      check(![object respondsToSelector:sel_registerName(name.c_str())]);
    }
    check([object number] == 2 && [object hash] != 0 && [object isEqual:object] && ![object isStrange]);
  }
}

int main() {
  @autoreleasepool {
    Derived* object = AUTORELEASED([[Derived alloc] init]);
    check([object number] == 2);
    check([Derived classNumber] == 11);
    check_arguments(object);
    check_nil();
    check_unknown(object);
    check_many_selectors(object);
    using Number = int (*)(id, SEL);
    check(reinterpret_cast<Number>(objc_msgSend)(object, @selector(number)) == 2);
    check(reinterpret_cast<Number>(class_getMethodImplementation([Base class], @selector(number)))(object, nil) == 1);
  }
}
