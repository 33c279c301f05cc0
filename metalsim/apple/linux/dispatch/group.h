// Waiting for several blocks.
#pragma once

#include <dispatch/queue.h>

DISPATCH_DECL(dispatch_group);

DISPATCH_EXPORT dispatch_group_t _Nonnull dispatch_group_create(void) DISPATCH_RETURNS_RETAINED;
DISPATCH_EXPORT void dispatch_group_enter(dispatch_group_t _Nonnull group);
DISPATCH_EXPORT void dispatch_group_leave(dispatch_group_t _Nonnull group);
/// Zero, or something else if `timeout` passed first.
DISPATCH_EXPORT intptr_t dispatch_group_wait(dispatch_group_t _Nonnull group, dispatch_time_t timeout);
#ifdef __BLOCKS__
DISPATCH_EXPORT void dispatch_group_async(dispatch_group_t _Nonnull group, dispatch_queue_t _Nonnull queue,
                                          dispatch_block_t _Nonnull block);
DISPATCH_EXPORT void dispatch_group_notify(dispatch_group_t _Nonnull group, dispatch_queue_t _Nonnull queue,
                                           dispatch_block_t _Nonnull block);
#endif
