// Blocks as objects.
#import <Foundation/Foundation.h>

#include "../objc/objects.h"

#include <Block.h>

__attribute__((visibility("default")))
@interface NSBlock : NSObject
@end

@implementation NSBlock

+ (void)load {
  metalsim_has_uncounted_objects(self);
}

- (instancetype)retain {
  return (id)_Block_copy(self);
}

- (oneway void)release {
  _Block_release(self);
}

- (id)copy {
  return (id)_Block_copy(self);
}

- (id)copyWithZone:(NSZone*)zone {
  return (id)_Block_copy(self);
}

- (NSUInteger)retainCount {
  return 1;
}

@end

// The kinds of blocks, under the names that they have on a Mac.

__attribute__((visibility("default")))
@interface __NSStackBlock__ : NSBlock
@end
@implementation __NSStackBlock__
@end

__attribute__((visibility("default")))
@interface __NSMallocBlock__ : NSBlock
@end
@implementation __NSMallocBlock__
@end

__attribute__((visibility("default")))
@interface __NSGlobalBlock__ : NSBlock
@end
@implementation __NSGlobalBlock__
@end

// clang refers to these classes by other symbols.
asm(".globl _NSConcreteStackBlock\n"
    ".set _NSConcreteStackBlock, OBJC_CLASS_$___NSStackBlock__\n"
    ".globl _NSConcreteMallocBlock\n"
    ".set _NSConcreteMallocBlock, OBJC_CLASS_$___NSMallocBlock__\n"
    ".globl _NSConcreteGlobalBlock\n"
    ".set _NSConcreteGlobalBlock, OBJC_CLASS_$___NSGlobalBlock__\n");
