// An id<MTLBuffer> is no address of an object but a handle, so that tensor.data_ptr() of a software `mps` tensor, which
// is the handle plus bytes, can be told from the buffer, and faults wherever the host takes it for memory.
//
//   bit 63      set: no address that a processor accepts has bit 63 and not bits 47 to 62
//   bits 40-62  slot, which belongs to one buffer; it is given to another only after eight million others
//   bits 0-39   0; an offset in bytes in tensor.data_ptr()
#pragma once

#include <cstdint>

@class SoftwareBuffer;

namespace metalsim::metal {

inline bool is_handle(const void* pointer) {
  return reinterpret_cast<intptr_t>(pointer) < 0;
}
inline bool is_handle(id object) {
  return is_handle((const void*)object);
}

/// Gives the buffer a slot and returns its handle. Throws std::bad_alloc when all slots are taken.
void* add_handle(SoftwareBuffer* buffer);
void remove_handle(void* handle);
/// The buffer behind a handle. Throws for one that has been released, and for an address inside of a buffer.
SoftwareBuffer* resolve_handle(const void* handle);

} // namespace metalsim::metal
