// MTLBuffer.
#pragma once

#import "objects.h"

#include "buffer_memory.h"

/// Host code never sees a pointer to one of these, only its handle.
@interface SoftwareBuffer : SoftwareObject <MTLBuffer>

/// Takes the memory. The caller owns the object behind the handle that is returned.
+ (nonnull id<MTLBuffer>)newHandleWithMemory:(std::shared_ptr<metalsim::metal::BufferMemory>)memory
                                     options:(MTLResourceOptions)options
                                        heap:(nullable id<MTLHeap>)heap;

- (const std::shared_ptr<metalsim::metal::BufferMemory>&)memory;

@end

namespace metalsim::metal {

/// A buffer with memory of its own; nil if there is no memory. `call` is the method of the host's.
id<MTLBuffer> _Nullable new_buffer(const char* _Nonnull call, NSUInteger length, MTLResourceOptions options,
                                   id<MTLHeap> _Nullable heap);
id<MTLBuffer> _Nullable new_buffer_with_bytes(const void* _Nullable bytes, NSUInteger length,
                                              MTLResourceOptions options);
id<MTLBuffer> _Nullable new_buffer_without_copy(void* _Nullable bytes, NSUInteger length, MTLResourceOptions options,
                                                void (^_Nullable deallocator)(void* _Nonnull, NSUInteger));

/// The object behind an argument that must be a buffer.
SoftwareBuffer* _Nonnull buffer_argument(id _Nullable buffer, const char* _Nonnull call);

} // namespace metalsim::metal
