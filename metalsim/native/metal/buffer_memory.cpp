#include "buffer_memory.h"

#include "../runtime/memory.h"
#include "limits.h"

#include <cstring>
#include <utility>

namespace metalsim::metal {

std::shared_ptr<BufferMemory> BufferMemory::allocate(uint64_t length) {
  char* address = static_cast<char*>(metalsim_allocate_guarded(length));
  if (address == nullptr) {
    return nullptr;
  }
  if (length <= kMaxFilledLength) {
    std::memset(address, 0xFF, round_up(length, 16));
  }
  std::shared_ptr<BufferMemory> memory(new BufferMemory(address, length));
  memory->is_ours_ = true;
  return memory;
}

std::shared_ptr<BufferMemory> BufferMemory::adopt(void* address, uint64_t length, Deallocator deallocator) {
  std::shared_ptr<BufferMemory> memory(new BufferMemory(static_cast<char*>(address), length));
  memory->deallocator_ = std::move(deallocator);
  return memory;
}

BufferMemory::~BufferMemory() {
  if (is_ours_) {
    metalsim_release_guarded(address_, length_);
  } else if (deallocator_) {
    deallocator_(address_, length_);
  }
}

} // namespace metalsim::metal
