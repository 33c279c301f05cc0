// How Foundation's headers declare types, functions and availability.
#pragma once

#include <TargetConditionals.h>

#include <limits.h>
#include <objc/NSObjCRuntime.h>
#include <os/availability.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Options are plain integers in C++: they can be joined with |.
#ifndef NS_ENUM
#define NS_ENUM(type, name)                                                                                            \
  enum __attribute__((enum_extensibility(open))) name : type name;                                                     \
  enum name : type
#ifdef __cplusplus
#define NS_OPTIONS(type, name)                                                                                         \
  type name;                                                                                                           \
  enum __attribute__((flag_enum, enum_extensibility(open))) : name
#else
#define NS_OPTIONS(type, name)                                                                                         \
  enum __attribute__((flag_enum, enum_extensibility(open))) name : type name;                                          \
  enum name : type
#endif
#endif
#define NS_ERROR_ENUM(domain, name) NS_ENUM(NSInteger, name)
#define NS_CLOSED_ENUM(type, name)                                                                                     \
  enum __attribute__((enum_extensibility(closed))) name : type name;                                                   \
  enum name : type

#ifndef NS_ASSUME_NONNULL_BEGIN
#define NS_ASSUME_NONNULL_BEGIN _Pragma("clang assume_nonnull begin")
#define NS_ASSUME_NONNULL_END _Pragma("clang assume_nonnull end")
#endif

#ifdef __cplusplus
#define FOUNDATION_EXTERN extern "C" __attribute__((visibility("default")))
#else
#define FOUNDATION_EXTERN extern __attribute__((visibility("default")))
#endif
#define FOUNDATION_EXPORT FOUNDATION_EXTERN
#define NS_INLINE static __inline__ __attribute__((always_inline))
#define NS_CLASS_AVAILABLE_MAC(version) __attribute__((visibility("default")))
#define NS_SWIFT_NAME(name)
#define NS_SWIFT_SENDABLE
#define NS_REFINED_FOR_SWIFT
#define NS_TYPED_EXTENSIBLE_ENUM
#define NS_STRING_ENUM
#define NS_NOESCAPE __attribute__((noescape))
#define NS_DESIGNATED_INITIALIZER __attribute__((objc_designated_initializer))
#define NS_UNAVAILABLE __attribute__((unavailable))
#define NS_RETURNS_RETAINED __attribute__((ns_returns_retained))
#define NS_RETURNS_INNER_POINTER __attribute__((objc_returns_inner_pointer))
#define NS_REQUIRES_SUPER __attribute__((objc_requires_super))
#define NS_REQUIRES_NIL_TERMINATION __attribute__((sentinel(0, 1)))
#define NS_FORMAT_FUNCTION(string, first) __attribute__((format(__NSString__, string, first)))

typedef double NSTimeInterval;
#ifndef __COREFOUNDATION__
typedef double CFTimeInterval;
#endif

static const NSInteger NSNotFound = NSIntegerMax;

#ifdef __OBJC__
@class NSString, Protocol;

NS_ASSUME_NONNULL_BEGIN

typedef NS_CLOSED_ENUM(NSInteger, NSComparisonResult) {
  NSOrderedAscending = -1L,
  NSOrderedSame,
  NSOrderedDescending,
};

#ifdef __BLOCKS__
typedef NSComparisonResult (^NSComparator)(id left, id right);
#endif

FOUNDATION_EXPORT NSString* NSStringFromSelector(SEL selector);
FOUNDATION_EXPORT SEL NSSelectorFromString(NSString* name);
FOUNDATION_EXPORT NSString* NSStringFromClass(Class cls);
FOUNDATION_EXPORT Class _Nullable NSClassFromString(NSString* name);
FOUNDATION_EXPORT NSString* NSStringFromProtocol(Protocol* protocol) API_AVAILABLE(macos(10.5));
FOUNDATION_EXPORT Protocol* _Nullable NSProtocolFromString(NSString* name) API_AVAILABLE(macos(10.5));

FOUNDATION_EXPORT void NSLog(NSString* format, ...) NS_FORMAT_FUNCTION(1, 2);
FOUNDATION_EXPORT void NSLogv(NSString* format, va_list arguments) NS_FORMAT_FUNCTION(1, 0);

NS_ASSUME_NONNULL_END
#endif

#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif
