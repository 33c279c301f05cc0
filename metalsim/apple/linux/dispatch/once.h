// Once in the life of a process.
#pragma once

#include <dispatch/base.h>

typedef intptr_t dispatch_once_t;

DISPATCH_EXPORT void dispatch_once_f(dispatch_once_t* _Nonnull predicate, void* _Nullable context,
                                     dispatch_function_t _Nonnull function);
#ifdef __BLOCKS__
DISPATCH_EXPORT void dispatch_once(dispatch_once_t* _Nonnull predicate,
                                   DISPATCH_NOESCAPE dispatch_block_t _Nonnull block);
#endif
