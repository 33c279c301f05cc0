// Numbers as objects.
#pragma once

#include <Foundation/NSObject.h>

NS_ASSUME_NONNULL_BEGIN

@class NSString;

__attribute__((visibility("default")))
@interface NSValue : NSObject<NSCopying>
+ (NSValue*)valueWithBytes:(const void*)value objCType:(const char*)type;
+ (NSValue*)valueWithPointer:(nullable const void*)pointer;
- (void)getValue:(void*)value size:(NSUInteger)size API_AVAILABLE(macos(10.13));
@property(readonly) const char* objCType NS_RETURNS_INNER_POINTER;
@property(nullable, readonly) void* pointerValue;
@end

__attribute__((visibility("default")))
@interface NSNumber : NSValue
- (NSNumber*)initWithChar:(char)value;
- (NSNumber*)initWithUnsignedChar:(unsigned char)value;
- (NSNumber*)initWithShort:(short)value;
- (NSNumber*)initWithUnsignedShort:(unsigned short)value;
- (NSNumber*)initWithInt:(int)value;
- (NSNumber*)initWithUnsignedInt:(unsigned int)value;
- (NSNumber*)initWithLong:(long)value;
- (NSNumber*)initWithUnsignedLong:(unsigned long)value;
- (NSNumber*)initWithLongLong:(long long)value;
- (NSNumber*)initWithUnsignedLongLong:(unsigned long long)value;
- (NSNumber*)initWithFloat:(float)value;
- (NSNumber*)initWithDouble:(double)value;
- (NSNumber*)initWithBool:(BOOL)value;
- (NSNumber*)initWithInteger:(NSInteger)value API_AVAILABLE(macos(10.5));
- (NSNumber*)initWithUnsignedInteger:(NSUInteger)value API_AVAILABLE(macos(10.5));

+ (NSNumber*)numberWithChar:(char)value;
+ (NSNumber*)numberWithUnsignedChar:(unsigned char)value;
+ (NSNumber*)numberWithShort:(short)value;
+ (NSNumber*)numberWithUnsignedShort:(unsigned short)value;
+ (NSNumber*)numberWithInt:(int)value;
+ (NSNumber*)numberWithUnsignedInt:(unsigned int)value;
+ (NSNumber*)numberWithLong:(long)value;
+ (NSNumber*)numberWithUnsignedLong:(unsigned long)value;
+ (NSNumber*)numberWithLongLong:(long long)value;
+ (NSNumber*)numberWithUnsignedLongLong:(unsigned long long)value;
+ (NSNumber*)numberWithFloat:(float)value;
+ (NSNumber*)numberWithDouble:(double)value;
+ (NSNumber*)numberWithBool:(BOOL)value;
+ (NSNumber*)numberWithInteger:(NSInteger)value API_AVAILABLE(macos(10.5));
+ (NSNumber*)numberWithUnsignedInteger:(NSUInteger)value API_AVAILABLE(macos(10.5));

@property(readonly) char charValue;
@property(readonly) unsigned char unsignedCharValue;
@property(readonly) short shortValue;
@property(readonly) unsigned short unsignedShortValue;
@property(readonly) int intValue;
@property(readonly) unsigned int unsignedIntValue;
@property(readonly) long longValue;
@property(readonly) unsigned long unsignedLongValue;
@property(readonly) long long longLongValue;
@property(readonly) unsigned long long unsignedLongLongValue;
@property(readonly) float floatValue;
@property(readonly) double doubleValue;
@property(readonly) BOOL boolValue;
@property(readonly) NSInteger integerValue API_AVAILABLE(macos(10.5));
@property(readonly) NSUInteger unsignedIntegerValue API_AVAILABLE(macos(10.5));
@property(readonly, copy) NSString* stringValue;

- (NSComparisonResult)compare:(NSNumber*)other;
- (BOOL)isEqualToNumber:(NSNumber*)number;
@end

NS_ASSUME_NONNULL_END
