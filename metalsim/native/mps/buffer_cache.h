// Freed buffers that wait to be handed out again.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <vector>

namespace metalsim::mps {

/// Not thread-safe; the allocator locks. The last buffer that was freed is the first to be reused, as torch's allocator
/// does it: that is how a kernel is caught which still reads a temporary that the host has let go of. Sizes must be
/// equal: a buffer that is larger than its tensor would hide accesses past the tensor's end.
class BufferCache {
public:
  /// Takes a buffer of that size out of the cache; null if there is none.
  void* take(size_t size);
  void put(void* buffer, size_t size);
  /// Takes out and returns the buffers that are too many, oldest first; all of them for limits of 0.
  std::vector<void*> shrink(size_t most_bytes, size_t most_buffers);
  size_t bytes() const { return bytes_; }

private:
  struct Freed {
    void* buffer;
    size_t size;
  };
  using Order = std::list<Freed>;

  Order order_;                                                    ///< newest first
  std::unordered_map<size_t, std::list<Order::iterator>> by_size_; ///< newest first
  size_t bytes_ = 0;
};

} // namespace metalsim::mps
