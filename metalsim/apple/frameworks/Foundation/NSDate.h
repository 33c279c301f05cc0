// Moments, as seconds since the start of 2001.
#pragma once

#include <Foundation/NSObject.h>

NS_ASSUME_NONNULL_BEGIN

#define NSTimeIntervalSince1970 978307200.0

__attribute__((visibility("default")))
@interface NSDate : NSObject<NSCopying>
@property(readonly) NSTimeInterval timeIntervalSinceReferenceDate;
@property(readonly) NSTimeInterval timeIntervalSince1970;
@property(readonly) NSTimeInterval timeIntervalSinceNow;
- (NSTimeInterval)timeIntervalSinceDate:(NSDate*)other;
- (instancetype)initWithTimeIntervalSinceReferenceDate:(NSTimeInterval)seconds NS_DESIGNATED_INITIALIZER;
+ (instancetype)date;
+ (instancetype)dateWithTimeIntervalSinceNow:(NSTimeInterval)seconds;
- (instancetype)init;
@end

NS_ASSUME_NONNULL_END
