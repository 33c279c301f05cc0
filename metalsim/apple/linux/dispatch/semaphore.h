// Counting semaphores.
#pragma once

#include <dispatch/object.h>
#include <dispatch/time.h>

DISPATCH_DECL(dispatch_semaphore);

DISPATCH_EXPORT dispatch_semaphore_t _Nonnull dispatch_semaphore_create(intptr_t value) DISPATCH_RETURNS_RETAINED;
/// Zero, or something else if `timeout` passed first.
DISPATCH_EXPORT intptr_t dispatch_semaphore_wait(dispatch_semaphore_t _Nonnull semaphore, dispatch_time_t timeout);
DISPATCH_EXPORT intptr_t dispatch_semaphore_signal(dispatch_semaphore_t _Nonnull semaphore);
