// The bytes of a buffer. Commands hold them while they run, so that they outlive an MTLBuffer released at that moment.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace metalsim::metal {

class BufferMemory {
public:
  /// Called with the address and the length when memory of the host's is not needed any more.
  using Deallocator = std::function<void(void*, uint64_t)>;

  /// New memory, whose end (the length rounded up to 16) lies before an inaccessible page; null if there is none.
  static std::shared_ptr<BufferMemory> allocate(uint64_t length);
  /// Memory of the host's.
  static std::shared_ptr<BufferMemory> adopt(void* address, uint64_t length, Deallocator deallocator);

  ~BufferMemory();
  BufferMemory(const BufferMemory&) = delete;
  BufferMemory& operator=(const BufferMemory&) = delete;

  char* address() const { return address_; }
  uint64_t length() const { return length_; }

private:
  BufferMemory(char* address, uint64_t length) : address_(address), length_(length) {}

  char* address_;
  uint64_t length_;
  bool is_ours_ = false;
  Deallocator deallocator_;
};

} // namespace metalsim::metal
