// How the Objective-C headers export a name.
#pragma once

#include <Availability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define OBJC_EXTERN extern "C"
#else
#define OBJC_EXTERN extern
#endif
#define OBJC_VISIBLE __attribute__((visibility("default")))
#define OBJC_EXPORT OBJC_EXTERN OBJC_VISIBLE
#define OBJC_ROOT_CLASS __attribute__((objc_root_class))
#define OBJC_DESIGNATED_INITIALIZER __attribute__((objc_designated_initializer))
#define OBJC_RETURNS_RETAINED __attribute__((ns_returns_retained))

#if __has_feature(objc_arc)
#define OBJC_ARC_UNAVAILABLE __attribute__((unavailable("not available in automatic reference counting mode")))
#else
#define OBJC_ARC_UNAVAILABLE
#endif
