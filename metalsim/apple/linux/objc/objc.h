// The types of Objective-C.
#pragma once

#include <objc/objc-api.h>

#if !OBJC_TYPES_DEFINED
typedef struct objc_class* Class;
struct objc_object {
  Class _Nonnull isa;
};
typedef struct objc_object* id;
#endif
typedef struct objc_selector* SEL;
typedef void (*IMP)(void /* id, SEL, ... */);

// As on Macs with Apple silicon.
#define OBJC_BOOL_IS_BOOL 1
#define OBJC_BOOL_IS_CHAR 0
typedef bool BOOL;
#if __has_feature(objc_bool)
#define YES __objc_yes
#define NO __objc_no
#else
#define YES ((BOOL)1)
#define NO ((BOOL)0)
#endif

#ifndef nil
#ifdef __cplusplus
#define nil nullptr
#else
#define nil ((void*)0)
#endif
#endif
#ifndef Nil
#ifdef __cplusplus
#define Nil nullptr
#else
#define Nil ((void*)0)
#endif
#endif

#ifndef __strong
#if !__has_feature(objc_arc)
#define __strong
#endif
#endif
#ifndef __unsafe_unretained
#if !__has_feature(objc_arc)
#define __unsafe_unretained
#endif
#endif
#ifndef __autoreleasing
#if !__has_feature(objc_arc)
#define __autoreleasing
#endif
#endif

OBJC_EXPORT const char* _Nonnull sel_getName(SEL _Nonnull selector);
OBJC_EXPORT SEL _Nonnull sel_registerName(const char* _Nonnull name);
OBJC_EXPORT const char* _Nonnull object_getClassName(id _Nullable object);
OBJC_EXPORT BOOL sel_isMapped(SEL _Nonnull selector);
