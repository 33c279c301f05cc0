// What @synchronized calls.
#pragma once

#include <objc/objc.h>

OBJC_EXPORT int objc_sync_enter(id _Nonnull object);
OBJC_EXPORT int objc_sync_exit(id _Nonnull object);
