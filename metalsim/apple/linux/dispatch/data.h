// Immutable bytes.
#pragma once

#include <dispatch/queue.h>

DISPATCH_DECL(dispatch_data);

#ifdef __BLOCKS__
/// The bytes are copied.
#define DISPATCH_DATA_DESTRUCTOR_DEFAULT ((dispatch_block_t)0)
/// The bytes came from malloc and are freed.
DISPATCH_EXPORT const dispatch_block_t _Nonnull _dispatch_data_destructor_free;
#define DISPATCH_DATA_DESTRUCTOR_FREE (_dispatch_data_destructor_free)

DISPATCH_EXPORT
dispatch_data_t _Nonnull dispatch_data_create(const void* _Nullable buffer, size_t size,
                                              dispatch_queue_t _Nullable queue,
                                              dispatch_block_t _Nullable destructor) DISPATCH_RETURNS_RETAINED;
typedef bool (^dispatch_data_applier_t)(dispatch_data_t _Nonnull region, size_t offset, const void* _Nonnull buffer,
                                        size_t size);
DISPATCH_EXPORT bool dispatch_data_apply(dispatch_data_t _Nonnull data,
                                         DISPATCH_NOESCAPE dispatch_data_applier_t _Nonnull applier);
#endif
DISPATCH_EXPORT size_t dispatch_data_get_size(dispatch_data_t _Nonnull data);
DISPATCH_EXPORT dispatch_data_t _Nonnull dispatch_data_create_map(dispatch_data_t _Nonnull data,
                                                                  const void* _Nullable* _Nullable buffer,
                                                                  size_t* _Nullable size) DISPATCH_RETURNS_RETAINED;
