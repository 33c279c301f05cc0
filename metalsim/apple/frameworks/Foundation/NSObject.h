// Protocols that most classes follow.
#pragma once

#include <Foundation/NSObjCRuntime.h>
#include <objc/NSObject.h>

typedef struct _NSZone NSZone;

NS_ASSUME_NONNULL_BEGIN

@protocol NSCopying
- (id)copyWithZone:(nullable NSZone*)zone;
@end

@protocol NSMutableCopying
- (id)mutableCopyWithZone:(nullable NSZone*)zone;
@end

@class NSCoder;
@protocol NSCoding
- (void)encodeWithCoder:(NSCoder*)coder;
- (nullable instancetype)initWithCoder:(NSCoder*)coder;
@end

@protocol NSSecureCoding <NSCoding>
@required
@property(class, readonly) BOOL supportsSecureCoding;
@end

// Retained objects as Core Foundation's callers hold them.
typedef const void* CFTypeRef;
#if __has_feature(objc_arc)
NS_INLINE CFTypeRef _Nullable CFBridgingRetain(id _Nullable object) {
  return (__bridge_retained CFTypeRef)object;
}
NS_INLINE id _Nullable CFBridgingRelease(CFTypeRef _Nullable object) {
  return (__bridge_transfer id)object;
}
#endif

NS_ASSUME_NONNULL_END
