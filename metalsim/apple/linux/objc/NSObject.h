// The root class.
#pragma once

#ifdef __OBJC__

#include <objc/NSObjCRuntime.h>
#include <objc/objc.h>

@class NSString, NSMethodSignature, NSInvocation, Protocol;
typedef struct _NSZone NSZone;

@protocol NSObject

- (BOOL)isEqual:(id)object;
@property(readonly) NSUInteger hash;

@property(readonly) Class superclass;
- (Class)class;
- (instancetype)self;

- (BOOL)isKindOfClass:(Class)aClass;
- (BOOL)isMemberOfClass:(Class)aClass;
- (BOOL)conformsToProtocol:(Protocol*)aProtocol;

- (BOOL)respondsToSelector:(SEL)aSelector;

- (instancetype)retain OBJC_ARC_UNAVAILABLE;
- (oneway void)release OBJC_ARC_UNAVAILABLE;
- (instancetype)autorelease OBJC_ARC_UNAVAILABLE;
- (NSUInteger)retainCount OBJC_ARC_UNAVAILABLE;

@property(readonly, copy) NSString* description;
@optional
@property(readonly, copy) NSString* debugDescription;

@end

OBJC_VISIBLE OBJC_ROOT_CLASS @interface NSObject<NSObject> { Class isa; }

+ (void)load;
+ (void)initialize;
- (instancetype)init OBJC_DESIGNATED_INITIALIZER;

+ (instancetype)new;
+ (instancetype)allocWithZone:(struct _NSZone*)zone;
+ (instancetype)alloc;
- (void)dealloc;

- (id)copy;
- (id)mutableCopy;

+ (BOOL)instancesRespondToSelector:(SEL)aSelector;
+ (BOOL)conformsToProtocol:(Protocol*)protocol;
- (void)doesNotRecognizeSelector:(SEL)aSelector;

+ (NSUInteger)hash;
+ (Class)superclass;
+ (Class)class;
+ (NSString*)description;
+ (NSString*)debugDescription;

@end

#endif
