// Dispatch's objects, which are objects of Objective-C: their names are part of C++ mangled names.
#pragma once

#include <dispatch/base.h>

#ifdef __OBJC__
#include <objc/NSObject.h>
// clang-format off
#define DISPATCH_DECL(name) @protocol OS_##name <NSObject> @end typedef NSObject<OS_##name>* name##_t
#define DISPATCH_DECL_SUBCLASS(name, base) @protocol OS_##name <OS_##base> @end typedef NSObject<OS_##name>* name##_t
// clang-format on
@protocol OS_dispatch_object <NSObject>
@end
typedef NSObject<OS_dispatch_object>* dispatch_object_t;
#define DISPATCH_GLOBAL_OBJECT(type, object) ((__bridge type) & (object))
#else
#define DISPATCH_DECL(name) typedef struct name##_s* name##_t
#define DISPATCH_DECL_SUBCLASS(name, base) typedef struct name##_s* name##_t
typedef void* dispatch_object_t;
#define DISPATCH_GLOBAL_OBJECT(type, object) ((type) & (object))
#endif

#if defined(__OBJC__) && __has_feature(objc_arc)
#define dispatch_retain(object) ((void)(object))
#define dispatch_release(object) ((void)(object))
#elif defined(__OBJC__)
#define dispatch_retain(object) ((void)[(object) retain])
#define dispatch_release(object) ((void)[(object) release])
#else
DISPATCH_EXPORT void dispatch_retain(void* _Nonnull object);
DISPATCH_EXPORT void dispatch_release(void* _Nonnull object);
#endif
