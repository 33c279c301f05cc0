#import "handles.h"

#include "../objc/handles.h"
#include "validation.h"

#include <atomic>
#include <mutex>
#include <new>

namespace metalsim::metal {

namespace {

constexpr uint64_t kTag = uint64_t{1} << 63;
constexpr int kSlotShift = 40;
constexpr uint64_t kSlots = uint64_t{1} << 23;
constexpr uint64_t kOffsetMask = (uint64_t{1} << kSlotShift) - 1;

/// Zeros, and so no memory until touched. Slot 0 is never used: a handle's bits are not all 0 behind the tag.
std::atomic<void*> slots[kSlots];
std::mutex slots_mutex;
uint64_t next_slot = 1;

uint64_t bits_of(const void* handle) {
  return reinterpret_cast<uint64_t>(handle);
}

uint64_t slot_of(const void* handle) {
  return bits_of(handle) >> kSlotShift & (kSlots - 1);
}

void* resolve_for_message(void* handle) {
  return (void*)resolve_handle(handle);
}

/// Messages to handles may come as soon as there is one, so before anything else of the device.
__attribute__((constructor)) void install_resolver() {
  metalsim_set_handle_resolver(resolve_for_message);
}

} // namespace

void* add_handle(SoftwareBuffer* buffer) {
  const std::lock_guard<std::mutex> lock(slots_mutex);
  for (uint64_t tried = 1; tried < kSlots; ++tried) {
    const uint64_t slot = next_slot;
    next_slot = next_slot + 1 == kSlots ? 1 : next_slot + 1;
    if (slots[slot].load(std::memory_order_relaxed) == nullptr) {
      slots[slot].store((void*)buffer, std::memory_order_release);
      return reinterpret_cast<void*>(kTag | slot << kSlotShift);
    }
  }
  throw std::bad_alloc();
}

void remove_handle(void* handle) {
  slots[slot_of(handle)].store(nullptr, std::memory_order_release);
}

SoftwareBuffer* resolve_handle(const void* handle) {
  void* const buffer = slots[slot_of(handle)].load(std::memory_order_acquire);
  const uint64_t offset = bits_of(handle) & kOffsetMask;
  if (buffer == nullptr) {
    refuse("a message was sent to, or a call got, an MTLBuffer that has been released; keep a reference to it for as "
           "long as it is used");
  }
  if (offset != 0) {
    refuse("a message was sent to, or a call got, an address " + text(offset) +
           " bytes inside of an MTLBuffer, such as data_ptr() of a view; use the storage's data pointer as the "
           "id<MTLBuffer>, and storage_offset() times the element size as the offset");
  }
  return (SoftwareBuffer*)buffer;
}

} // namespace metalsim::metal
