// A pool as an object, for code without @autoreleasepool.
#pragma once

#include <Foundation/NSObject.h>

#if !__has_feature(objc_arc)
__attribute__((visibility("default")))
@interface NSAutoreleasePool : NSObject
- (void)drain;
@end
#endif
