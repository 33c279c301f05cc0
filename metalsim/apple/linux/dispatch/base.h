// How the headers of Grand Central Dispatch declare their objects and functions.
#pragma once

#include <os/availability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define DISPATCH_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define DISPATCH_EXPORT extern __attribute__((visibility("default")))
#endif
#define DISPATCH_NOESCAPE __attribute__((noescape))
#define DISPATCH_MALLOC __attribute__((malloc))
#ifdef __OBJC__
#define DISPATCH_RETURNS_RETAINED __attribute__((ns_returns_retained))
#else
#define DISPATCH_RETURNS_RETAINED
#endif

typedef void (*dispatch_function_t)(void* _Nullable context);
#ifdef __BLOCKS__
typedef void (^dispatch_block_t)(void);
#endif
