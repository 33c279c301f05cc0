// Asking the Objective-C runtime about classes and objects.
#pragma once

#include <objc/objc.h>

#ifdef __OBJC__
@class Protocol;
#else
typedef struct objc_object Protocol;
#endif

OBJC_EXPORT Class _Nullable object_getClass(id _Nullable object);
OBJC_EXPORT BOOL object_isClass(id _Nullable object);

OBJC_EXPORT Class _Nullable objc_getClass(const char* _Nonnull name);
OBJC_EXPORT Class _Nullable objc_lookUpClass(const char* _Nonnull name);
OBJC_EXPORT Protocol* _Nullable objc_getProtocol(const char* _Nonnull name);

OBJC_EXPORT const char* _Nonnull class_getName(Class _Nullable cls);
OBJC_EXPORT Class _Nullable class_getSuperclass(Class _Nullable cls);
OBJC_EXPORT BOOL class_isMetaClass(Class _Nullable cls);
OBJC_EXPORT size_t class_getInstanceSize(Class _Nullable cls);
OBJC_EXPORT IMP _Nullable class_getMethodImplementation(Class _Nullable cls, SEL _Nonnull selector);
OBJC_EXPORT BOOL class_respondsToSelector(Class _Nullable cls, SEL _Nonnull selector);
OBJC_EXPORT BOOL class_conformsToProtocol(Class _Nullable cls, Protocol* _Nullable protocol);

OBJC_EXPORT const char* _Nonnull protocol_getName(Protocol* _Nonnull protocol);
OBJC_EXPORT BOOL protocol_isEqual(Protocol* _Nullable protocol, Protocol* _Nullable other);

OBJC_EXPORT BOOL sel_isEqual(SEL _Nonnull left, SEL _Nonnull right);

#if !__has_feature(objc_arc)
OBJC_EXPORT id _Nullable class_createInstance(Class _Nullable cls, size_t extra_bytes);
OBJC_EXPORT id _Nullable object_dispose(id _Nullable object);
#endif
