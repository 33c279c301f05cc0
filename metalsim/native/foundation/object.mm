// NSObject.
#import <Foundation/Foundation.h>

#include "../objc/objects.h"
#include "text.h"

#include <objc/runtime.h>
#include <stdexcept>

extern "C" {
void* metalsim_autorelease(void* object);
void* objc_autoreleasePoolPush(void);
void objc_autoreleasePoolPop(void* pool);
}

using namespace metalsim::foundation;

@implementation NSObject

+ (void)load {
}

+ (void)initialize {
}

+ (instancetype)alloc {
  return class_createInstance(self, 0);
}

+ (instancetype)allocWithZone:(struct _NSZone*)zone {
  return [self alloc];
}

+ (instancetype)new {
  return [[self alloc] init];
}

+ (Class)class {
  return self;
}

+ (Class)superclass {
  return class_getSuperclass(self);
}

+ (BOOL)instancesRespondToSelector:(SEL)aSelector {
  return class_respondsToSelector(self, aSelector);
}

+ (BOOL)conformsToProtocol:(Protocol*)protocol {
  return class_conformsToProtocol(self, protocol);
}

// Classes are objects too. They are never freed.

+ (instancetype)retain {
  return (id)self;
}

+ (oneway void)release {
}

+ (instancetype)autorelease {
  return (id)self;
}

+ (NSUInteger)retainCount {
  return NSUIntegerMax;
}

+ (id)copy {
  return (id)self;
}

+ (BOOL)isEqual:(id)object {
  return object == (id)self;
}

+ (NSUInteger)hash {
  return (NSUInteger)self >> 4;
}

+ (BOOL)respondsToSelector:(SEL)aSelector {
  return class_respondsToSelector(object_getClass((id)self), aSelector);
}

+ (NSString*)description {
  return string_with(class_getName(self));
}

+ (NSString*)debugDescription {
  return [self description];
}

- (instancetype)init {
  return self;
}

- (void)dealloc {
  object_dispose(self);
}

- (instancetype)self {
  return self;
}

- (id)copy {
  return [(id<NSCopying>)self copyWithZone:nullptr];
}

- (id)mutableCopy {
  return [(id<NSMutableCopying>)self mutableCopyWithZone:nullptr];
}

- (instancetype)retain {
  metalsim_retain(self);
  return self;
}

- (oneway void)release {
  metalsim_release(self);
}

- (instancetype)autorelease {
  metalsim_autorelease(self);
  return self;
}

- (NSUInteger)retainCount {
  return (NSUInteger)metalsim_retain_count(self);
}

- (BOOL)isEqual:(id)object {
  return object == self;
}

- (NSUInteger)hash {
  return (NSUInteger)self >> 4;
}

- (Class)class {
  return object_getClass(self);
}

- (Class)superclass {
  return class_getSuperclass(object_getClass(self));
}

- (BOOL)isKindOfClass:(Class)aClass {
  for (Class cls = object_getClass(self); cls != nil; cls = class_getSuperclass(cls)) {
    if (cls == aClass) {
      return YES;
    }
  }
  return NO;
}

- (BOOL)isMemberOfClass:(Class)aClass {
  return object_getClass(self) == aClass;
}

- (BOOL)respondsToSelector:(SEL)aSelector {
  return class_respondsToSelector(object_getClass(self), aSelector);
}

- (BOOL)conformsToProtocol:(Protocol*)aProtocol {
  return class_conformsToProtocol(object_getClass(self), aProtocol);
}

- (void)doesNotRecognizeSelector:(SEL)aSelector {
  throw std::runtime_error(std::string("-[") + class_getName(object_getClass(self)) + " " + sel_getName(aSelector) +
                           "]: unrecognized selector sent to instance");
}

- (NSString*)description {
  return [NSString stringWithFormat:@"<%s: %p>", class_getName(object_getClass(self)), (void*)self];
}

- (NSString*)debugDescription {
  return [self description];
}

@end

/// The class of @protocol(Name).
__attribute__((visibility("default")))
@interface Protocol : NSObject
@end

@implementation Protocol

+ (void)load {
  metalsim_has_uncounted_objects(self);
}

- (instancetype)retain {
  return self;
}

- (oneway void)release {
}

- (instancetype)autorelease {
  return self;
}

- (BOOL)isEqual:(id)object {
  return object == self ||
         ([object isKindOfClass:[Protocol class]] && protocol_isEqual((Protocol*)self, (Protocol*)object));
}

- (NSString*)description {
  return string_with(protocol_getName((Protocol*)self));
}

@end

NSString* NSStringFromSelector(SEL selector) {
  return string_with(sel_getName(selector));
}
SEL NSSelectorFromString(NSString* name) {
  return sel_registerName(name.UTF8String);
}
NSString* NSStringFromClass(Class cls) {
  return string_with(class_getName(cls));
}
Class NSClassFromString(NSString* name) {
  return objc_getClass(name.UTF8String);
}
NSString* NSStringFromProtocol(Protocol* protocol) {
  return string_with(protocol_getName(protocol));
}
Protocol* NSProtocolFromString(NSString* name) {
  return objc_getProtocol(name.UTF8String);
}

void NSLogv(NSString* format, va_list arguments) {
  const std::string text = formatted(format, arguments);
  fprintf(stderr, "%s\n", text.c_str());
}

void NSLog(NSString* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  NSLogv(format, arguments);
  va_end(arguments);
}

@implementation NSAutoreleasePool {
  void* m_pool;
}

- (instancetype)init {
  m_pool = objc_autoreleasePoolPush();
  return self;
}

- (void)drain {
  [self release];
}

- (instancetype)autorelease {
  throw std::logic_error("-[NSAutoreleasePool autorelease]: a pool cannot be put into a pool: send drain");
}

- (void)dealloc {
  objc_autoreleasePoolPop(m_pool);
  [super dealloc];
}

@end
