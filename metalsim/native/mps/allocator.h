// torch's allocator of mps memory: each allocation is one id<MTLBuffer>.
#pragma once

#include <ATen/mps/MPSAllocatorInterface.h>

#include "buffer_cache.h"

#include <mutex>
#include <unordered_map>

namespace metalsim::mps {

class Allocator final : public at::mps::IMPSAllocator {
public:
  using EventType = at::mps::IMpsAllocatorCallback::EventType;

  static Allocator& get();

  // c10::Allocator and c10::DeviceAllocator
  c10::DataPtr allocate(size_t size) override;
  c10::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* destination, const void* source, size_t count) const override;
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t pool = {0, 0}) override;
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override;
  void resetAccumulatedStats(c10::DeviceIndex device) override;
  void resetPeakStats(c10::DeviceIndex device) override;
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex device) override;

  // IMPSAllocator
  void freeInactiveBuffers() const override {}
  ssize_t getUnalignedBufferSize(const void* buffer) const override;
  at::IntArrayRef getBufferShape(const void* buffer) const override;
  id_t getBufferId(const void* buffer) const override;
  void setBufferShape(const void* buffer, const at::IntArrayRef& shape) const override;
  bool isSharedBuffer(const void* buffer) const override;
  c10::DataPtr allocScalarBufferWithValue(void* value, size_t size) const override;
  std::string formatSize(size_t size) const override;
  void setLowWatermarkRatio(double ratio) const override;
  void setHighWatermarkRatio(double ratio) const override;
  ssize_t getLowWatermarkValue() const override;
  size_t getLowWatermarkLimit() const override;
  size_t getHighWatermarkLimit() const override;
  size_t getTotalAllocatedMemory() const override;
  size_t getCurrentAllocatedMemory() const override;
  size_t getDriverAllocatedMemory() const override;
  size_t getRecommendedMaxMemory() const override;
  std::pair<const void*, uint32_t> getSharedBufferPtr(const void* buffer) const override;
  c10::Storage getHostAliasStorage(const c10::Storage& storage) const override;
  bool recordEvents(c10::ArrayRef<const void*> buffers) const override;
  bool waitForEvents(c10::ArrayRef<const void*> buffers) const override;

private:
  struct Block {
    size_t size;
    id_t number; ///< counts allocations
    std::vector<int64_t> shape;
  };

  Allocator();
  static void free(void* buffer);
  /// Ends the life of buffers on the device, and returns what they held.
  void release(const std::vector<void*>& buffers) const;
  void* new_buffer(size_t size);
  /// Raises if `size` more bytes do not fit; empties the cache first if that makes them fit.
  void make_room(size_t size);
  void update_reserved_bytes();
  void notify(void* buffer, EventType event) const;

  mutable std::mutex mutex_;
  BufferCache cache_;
  mutable std::unordered_map<const void*, Block> blocks_; ///< that tensors use now
  size_t live_bytes_ = 0;
  id_t allocations_ = 0;
  c10::CachingDeviceAllocator::DeviceStats statistics_;
  mutable double high_watermark_ratio_; ///< of the recommended memory; 0 = no limit
  mutable double low_watermark_ratio_;
};

} // namespace metalsim::mps
