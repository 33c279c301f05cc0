#include "buffer_cache.h"

namespace metalsim::mps {

void* BufferCache::take(size_t size) {
  const auto found = by_size_.find(size);
  if (found == by_size_.end()) {
    return nullptr;
  }
  const Order::iterator newest = found->second.front();
  found->second.pop_front();
  if (found->second.empty()) {
    by_size_.erase(found);
  }
  void* const buffer = newest->buffer;
  bytes_ -= newest->size;
  order_.erase(newest);
  return buffer;
}

void BufferCache::put(void* buffer, size_t size) {
  order_.push_front({buffer, size});
  by_size_[size].push_front(order_.begin());
  bytes_ += size;
}

std::vector<void*> BufferCache::shrink(size_t most_bytes, size_t most_buffers) {
  std::vector<void*> surplus;
  while (!order_.empty() && (bytes_ > most_bytes || order_.size() > most_buffers)) {
    const Freed oldest = order_.back();
    const auto same_size = by_size_.find(oldest.size);
    same_size->second.pop_back();
    if (same_size->second.empty()) {
      by_size_.erase(same_size);
    }
    order_.pop_back();
    bytes_ -= oldest.size;
    surplus.push_back(oldest.buffer);
  }
  return surplus;
}

} // namespace metalsim::mps
