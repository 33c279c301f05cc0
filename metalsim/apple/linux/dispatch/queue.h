// Queues of blocks, serial and concurrent.
#pragma once

#include <dispatch/object.h>
#include <dispatch/time.h>

DISPATCH_DECL(dispatch_queue);
DISPATCH_DECL(dispatch_queue_attr);
typedef dispatch_queue_t dispatch_queue_global_t;
typedef dispatch_queue_t dispatch_queue_serial_t;
typedef dispatch_queue_t dispatch_queue_concurrent_t;
typedef dispatch_queue_t dispatch_queue_main_t;

#ifdef __OBJC__
#define DISPATCH_QUEUE_SERIAL ((dispatch_queue_attr_t)nil)
#else
#define DISPATCH_QUEUE_SERIAL ((dispatch_queue_attr_t)0)
#endif
struct dispatch_queue_attr_s;
DISPATCH_EXPORT struct dispatch_queue_attr_s _dispatch_queue_attr_concurrent;
#define DISPATCH_QUEUE_CONCURRENT DISPATCH_GLOBAL_OBJECT(dispatch_queue_attr_t, _dispatch_queue_attr_concurrent)
#define DISPATCH_QUEUE_SERIAL_WITH_AUTORELEASE_POOL DISPATCH_QUEUE_SERIAL
#define DISPATCH_TARGET_QUEUE_DEFAULT ((dispatch_queue_t)0)
#define DISPATCH_APPLY_AUTO ((dispatch_queue_t _Nonnull)0)
#define DISPATCH_CURRENT_QUEUE_LABEL ((dispatch_queue_t)0)

#define DISPATCH_QUEUE_PRIORITY_HIGH 2
#define DISPATCH_QUEUE_PRIORITY_DEFAULT 0
#define DISPATCH_QUEUE_PRIORITY_LOW (-2)
#define DISPATCH_QUEUE_PRIORITY_BACKGROUND INT16_MIN

typedef unsigned int dispatch_qos_class_t;
#ifndef QOS_CLASS_DEFAULT
enum {
  QOS_CLASS_USER_INTERACTIVE = 0x21,
  QOS_CLASS_USER_INITIATED = 0x19,
  QOS_CLASS_DEFAULT = 0x15,
  QOS_CLASS_UTILITY = 0x11,
  QOS_CLASS_BACKGROUND = 0x09,
  QOS_CLASS_UNSPECIFIED = 0x00,
};
#endif

DISPATCH_EXPORT
dispatch_queue_t _Nonnull dispatch_queue_create(const char* _Nullable label,
                                                dispatch_queue_attr_t _Nullable attr) DISPATCH_RETURNS_RETAINED;
DISPATCH_EXPORT dispatch_queue_t _Nonnull dispatch_queue_create_with_target(
    const char* _Nullable label, dispatch_queue_attr_t _Nullable attr,
    dispatch_queue_t _Nullable target) DISPATCH_RETURNS_RETAINED;
DISPATCH_EXPORT dispatch_queue_attr_t _Nullable dispatch_queue_attr_make_with_qos_class(
    dispatch_queue_attr_t _Nullable attr, dispatch_qos_class_t qos_class, int relative_priority);
DISPATCH_EXPORT dispatch_queue_t _Nonnull dispatch_get_global_queue(intptr_t identifier, uintptr_t flags);
DISPATCH_EXPORT dispatch_queue_t _Nonnull dispatch_get_main_queue(void);
DISPATCH_EXPORT const char* _Nonnull dispatch_queue_get_label(dispatch_queue_t _Nullable queue);

DISPATCH_EXPORT void dispatch_sync_f(dispatch_queue_t _Nonnull queue, void* _Nullable context,
                                     dispatch_function_t _Nonnull work);
DISPATCH_EXPORT void dispatch_async_f(dispatch_queue_t _Nonnull queue, void* _Nullable context,
                                      dispatch_function_t _Nonnull work);
DISPATCH_EXPORT void dispatch_barrier_sync_f(dispatch_queue_t _Nonnull queue, void* _Nullable context,
                                             dispatch_function_t _Nonnull work);
DISPATCH_EXPORT void dispatch_barrier_async_f(dispatch_queue_t _Nonnull queue, void* _Nullable context,
                                              dispatch_function_t _Nonnull work);
DISPATCH_EXPORT void dispatch_after_f(dispatch_time_t when, dispatch_queue_t _Nonnull queue, void* _Nullable context,
                                      dispatch_function_t _Nonnull work);
DISPATCH_EXPORT void dispatch_apply_f(size_t iterations, dispatch_queue_t _Nullable queue, void* _Nullable context,
                                      void (*_Nonnull work)(void* _Nullable context, size_t iteration));

#ifdef __BLOCKS__
DISPATCH_EXPORT void dispatch_sync(dispatch_queue_t _Nonnull queue, DISPATCH_NOESCAPE dispatch_block_t _Nonnull block);
DISPATCH_EXPORT void dispatch_async(dispatch_queue_t _Nonnull queue, dispatch_block_t _Nonnull block);
DISPATCH_EXPORT void dispatch_async_and_wait(dispatch_queue_t _Nonnull queue,
                                             DISPATCH_NOESCAPE dispatch_block_t _Nonnull block);
DISPATCH_EXPORT void dispatch_barrier_sync(dispatch_queue_t _Nonnull queue,
                                           DISPATCH_NOESCAPE dispatch_block_t _Nonnull block);
DISPATCH_EXPORT void dispatch_barrier_async(dispatch_queue_t _Nonnull queue, dispatch_block_t _Nonnull block);
DISPATCH_EXPORT void dispatch_after(dispatch_time_t when, dispatch_queue_t _Nonnull queue,
                                    dispatch_block_t _Nonnull block);
DISPATCH_EXPORT void dispatch_apply(size_t iterations, dispatch_queue_t _Nullable queue,
                                    DISPATCH_NOESCAPE void (^_Nonnull block)(size_t iteration));
#endif

DISPATCH_EXPORT void dispatch_queue_set_specific(dispatch_queue_t _Nonnull queue, const void* _Nonnull key,
                                                 void* _Nullable context, dispatch_function_t _Nullable destructor);
DISPATCH_EXPORT void* _Nullable dispatch_queue_get_specific(dispatch_queue_t _Nonnull queue, const void* _Nonnull key);
DISPATCH_EXPORT void* _Nullable dispatch_get_specific(const void* _Nonnull key);
DISPATCH_EXPORT void dispatch_assert_queue(dispatch_queue_t _Nonnull queue);
DISPATCH_EXPORT void dispatch_assert_queue_not(dispatch_queue_t _Nonnull queue);
