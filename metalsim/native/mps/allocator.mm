#include "allocator.h"

#include "../metal/device_memory.h"
#include "host_memory.h"
#include "stream_control.h"

#include <ATen/mps/MPSDevice.h>

#include <Metal/Metal.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace metalsim::mps {

namespace {

/// What the cache may hold. A buffer costs the process three mappings, of which Linux gives it 65530.
constexpr size_t kMostCachedBytes = size_t(1) << 30;
constexpr size_t kMostCachedBuffers = 2048;

/// torch's limits, in parts of the recommended memory.
constexpr double kHighWatermarkRatio = 1.7, kLowWatermarkRatio = 1.4, kMostWatermarkRatio = 2.0;

constexpr size_t kAllocated = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

const c10::Device kDevice(c10::DeviceType::MPS, 0);

id<MTLDevice> metal_device() {
  return at::mps::MPSDevice::getInstance()->device();
}

bool caches_buffers() {
  static const bool caches = [] {
    const char* const value = std::getenv("METALSIM_CACHE_BUFFERS");
    return value == nullptr || std::string_view(value) != "0";
  }();
  return caches;
}

double ratio_of_environment(const char* name, double otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtod(value, nullptr);
}

void check_ratio(const char* name, double ratio) {
  TORCH_CHECK(ratio >= 0 && ratio <= kMostWatermarkRatio, "invalid ", name, " watermark ratio ", ratio,
              ": it must be in the range 0 to ", kMostWatermarkRatio);
}

} // namespace

Allocator& Allocator::get() {
  // Never deleted: tensors in static variables are freed after it would be.
  static Allocator* const allocator = new Allocator;
  return *allocator;
}

Allocator::Allocator()
    : high_watermark_ratio_(ratio_of_environment("PYTORCH_MPS_HIGH_WATERMARK_RATIO", kHighWatermarkRatio)),
      low_watermark_ratio_(ratio_of_environment("PYTORCH_MPS_LOW_WATERMARK_RATIO", kLowWatermarkRatio)) {
  check_ratio("high", high_watermark_ratio_);
  check_ratio("low", low_watermark_ratio_);
}

// ---- allocating and freeing -----------------------------------------------------------------------------------------

c10::DataPtr Allocator::allocate(size_t size) {
  if (size == 0) {
    return {nullptr, nullptr, &free, kDevice};
  }
  void* buffer = nullptr;
  {
    const std::lock_guard lock(mutex_);
    buffer = cache_.take(size);
  }
  const bool is_recycled = buffer != nullptr;
  if (!is_recycled) {
    make_room(size);
    buffer = new_buffer(size);
  }
  {
    const std::lock_guard lock(mutex_);
    blocks_.emplace(buffer, Block{size, ++allocations_, {}});
    live_bytes_ += size;
    statistics_.allocation[kAllocated].increase(1);
    statistics_.allocated_bytes[kAllocated].increase(size);
    statistics_.requested_bytes[kAllocated].increase(size);
    update_reserved_bytes();
  }
  notify(buffer, is_recycled ? EventType::RECYCLED : EventType::ALLOCATED);
  return {buffer, buffer, &free, kDevice};
}

void* Allocator::new_buffer(size_t size) {
  id<MTLBuffer> buffer = [metal_device() newBufferWithLength:size options:MTLResourceStorageModeShared];
  if (buffer == nil) {
    notify(nullptr, EventType::ALLOCATION_FAILED);
    TORCH_CHECK(false, "MPS backend out of memory: the host has no ", formatSize(size), " left");
  }
  return buffer;
}

void Allocator::make_room(size_t size) {
  const size_t longest = [metal_device() maxBufferLength];
  TORCH_CHECK(size <= longest, "Invalid buffer size: ", formatSize(size), "; a buffer of this Mac holds at most ",
              formatSize(longest));
  const size_t limit = getHighWatermarkLimit();
  if (limit == 0) {
    return;
  }
  if (getTotalAllocatedMemory() + size > limit) {
    emptyCache();
  }
  const size_t allocated = getTotalAllocatedMemory();
  if (allocated + size > limit) {
    notify(nullptr, EventType::ALLOCATION_FAILED);
    {
      const std::lock_guard lock(mutex_);
      statistics_.num_ooms++;
    }
    const size_t driver = getDriverAllocatedMemory();
    TORCH_CHECK(
        false, "MPS backend out of memory (MPS allocated: ", formatSize(allocated),
        ", other allocations: ", formatSize(driver > allocated ? driver - allocated : 0),
        ", max allowed: ", formatSize(limit), "). Tried to allocate ", formatSize(size),
        " on shared pool. Use PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 to disable upper limit for memory allocations "
        "(may cause system failure).");
  }
}

void Allocator::free(void* buffer) {
  if (buffer == nullptr) {
    return;
  }
  Allocator& allocator = get();
  std::vector<void*> surplus;
  {
    const std::lock_guard lock(allocator.mutex_);
    const auto block = allocator.blocks_.find(buffer);
    const size_t size = block->second.size;
    allocator.blocks_.erase(block);
    allocator.live_bytes_ -= size;
    allocator.statistics_.allocation[kAllocated].decrease(1);
    allocator.statistics_.allocated_bytes[kAllocated].decrease(size);
    allocator.statistics_.requested_bytes[kAllocated].decrease(size);
    allocator.cache_.put(buffer, size);
    surplus = caches_buffers() ? allocator.cache_.shrink(kMostCachedBytes, kMostCachedBuffers)
                               : allocator.cache_.shrink(0, 0);
    allocator.update_reserved_bytes();
  }
  allocator.notify(buffer, EventType::FREED);
  allocator.release(surplus);
}

void Allocator::release(const std::vector<void*>& buffers) const {
  for (void* const buffer : buffers) {
    notify(buffer, EventType::RELEASED);
    [static_cast<id<MTLBuffer>>(buffer) release];
  }
}

void Allocator::emptyCache(c10::MempoolId_t) {
  std::vector<void*> buffers;
  {
    const std::lock_guard lock(mutex_);
    buffers = cache_.shrink(0, 0);
    update_reserved_bytes();
  }
  release(buffers);
}

void Allocator::notify(void* buffer, EventType event) const {
  static const auto callbacks = [] {
    std::vector<std::unique_ptr<at::mps::IMpsAllocatorCallback>> created;
    for (const std::string& name : at::mps::MPSAllocatorCallbacksRegistry()->Keys()) {
      created.push_back(at::mps::MPSAllocatorCallbacksRegistry()->Create(name));
    }
    return created;
  }();
  for (const auto& callback : callbacks) {
    callback->executeMPSAllocatorCallback(buffer, event);
  }
}

c10::DeleterFnPtr Allocator::raw_deleter() const {
  return &free;
}

void Allocator::copy_data(void* destination, const void* source, size_t count) const {
  synchronize();
  std::memcpy(metalsim_buffer_contents(destination), metalsim_buffer_contents(const_cast<void*>(source)), count);
}

c10::DataPtr Allocator::allocScalarBufferWithValue(void* value, size_t size) const {
  // Never from the cache: the host writes it while commands that read an earlier scalar may still be waiting.
  id<MTLBuffer> buffer = [metal_device() newBufferWithBytes:value length:size options:MTLResourceStorageModeShared];
  const auto release_scalar = [](void* scalar) { [static_cast<id<MTLBuffer>>(scalar) release]; };
  return {buffer, buffer, release_scalar, kDevice};
}

// ---- what is known of a buffer --------------------------------------------------------------------------------------

ssize_t Allocator::getUnalignedBufferSize(const void* buffer) const {
  const std::lock_guard lock(mutex_);
  const auto block = blocks_.find(buffer);
  return block == blocks_.end() ? -1 : static_cast<ssize_t>(block->second.size);
}

at::IntArrayRef Allocator::getBufferShape(const void* buffer) const {
  const std::lock_guard lock(mutex_);
  const auto block = blocks_.find(buffer);
  return block == blocks_.end() ? at::IntArrayRef() : at::IntArrayRef(block->second.shape);
}

void Allocator::setBufferShape(const void* buffer, const at::IntArrayRef& shape) const {
  const std::lock_guard lock(mutex_);
  const auto block = blocks_.find(buffer);
  TORCH_CHECK(block != blocks_.end(),
              "setBufferShape: the pointer is not a buffer of the mps allocator; pass a storage's "
              "data()");
  block->second.shape = shape.vec();
}

id_t Allocator::getBufferId(const void* buffer) const {
  const std::lock_guard lock(mutex_);
  const auto block = blocks_.find(buffer);
  return block == blocks_.end() ? 0 : block->second.number;
}

bool Allocator::isSharedBuffer(const void* buffer) const {
  return getUnalignedBufferSize(buffer) >= 0;
}

std::pair<const void*, uint32_t> Allocator::getSharedBufferPtr(const void* buffer) const {
  if (!isSharedBuffer(buffer)) {
    return {nullptr, 0};
  }
  void* const handle = const_cast<void*>(buffer);
  return {metalsim_buffer_contents(handle), static_cast<uint32_t>([static_cast<id<MTLBuffer>>(handle) retainCount])};
}

c10::Storage Allocator::getHostAliasStorage(const c10::Storage& storage) const {
  TORCH_CHECK(storage.data() == nullptr || isSharedBuffer(storage.data()),
              "getHostAliasStorage: the storage was not allocated by the MPSAllocator");
  return host_alias(storage);
}

bool Allocator::recordEvents(c10::ArrayRef<const void*> buffers) const {
  return std::any_of(buffers.begin(), buffers.end(), [this](const void* buffer) { return isSharedBuffer(buffer); });
}

bool Allocator::waitForEvents(c10::ArrayRef<const void*> buffers) const {
  // There is one stream: waiting for it is waiting for every buffer.
  const bool is_known = recordEvents(buffers);
  if (is_known) {
    synchronize();
  }
  return is_known;
}

// ---- how much memory ------------------------------------------------------------------------------------------------

std::string Allocator::formatSize(size_t size) const {
  const char* const units[] = {"bytes", "KiB", "MiB", "GiB"};
  int unit = 0;
  double value = static_cast<double>(size);
  for (; value >= 1024 && unit < 3; unit++) {
    value /= 1024;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text;
}

void Allocator::setLowWatermarkRatio(double ratio) const {
  check_ratio("low", ratio);
  const std::lock_guard lock(mutex_);
  low_watermark_ratio_ = ratio;
}

void Allocator::setHighWatermarkRatio(double ratio) const {
  check_ratio("high", ratio);
  const std::lock_guard lock(mutex_);
  high_watermark_ratio_ = ratio;
}

size_t Allocator::getHighWatermarkLimit() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(high_watermark_ratio_ * static_cast<double>(getRecommendedMaxMemory()));
}

size_t Allocator::getLowWatermarkLimit() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(low_watermark_ratio_ * static_cast<double>(getRecommendedMaxMemory()));
}

ssize_t Allocator::getLowWatermarkValue() const {
  const size_t limit = getLowWatermarkLimit();
  return limit == 0 ? 0 : static_cast<ssize_t>(limit) - static_cast<ssize_t>(getTotalAllocatedMemory());
}

size_t Allocator::getTotalAllocatedMemory() const {
  const std::lock_guard lock(mutex_);
  return live_bytes_ + cache_.bytes();
}

size_t Allocator::getCurrentAllocatedMemory() const {
  const std::lock_guard lock(mutex_);
  return live_bytes_;
}

size_t Allocator::getDriverAllocatedMemory() const {
  return [metal_device() currentAllocatedSize];
}

size_t Allocator::getRecommendedMaxMemory() const {
  return [metal_device() recommendedMaxWorkingSetSize];
}

std::pair<size_t, size_t> Allocator::getMemoryInfo(c10::DeviceIndex) {
  const size_t total = getRecommendedMaxMemory();
  const size_t used = getDriverAllocatedMemory();
  return {total > used ? total - used : 0, total};
}

void Allocator::update_reserved_bytes() {
  auto& reserved = statistics_.reserved_bytes[kAllocated];
  const auto now = static_cast<int64_t>(live_bytes_ + cache_.bytes());
  if (now > reserved.current) {
    reserved.increase(now - reserved.current);
  } else {
    reserved.decrease(reserved.current - now);
  }
}

c10::CachingDeviceAllocator::DeviceStats Allocator::getDeviceStats(c10::DeviceIndex) {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void Allocator::resetAccumulatedStats(c10::DeviceIndex) {
  const std::lock_guard lock(mutex_);
  for (auto* statistic : {&statistics_.allocation, &statistics_.allocated_bytes, &statistics_.requested_bytes,
                          &statistics_.reserved_bytes}) {
    (*statistic)[kAllocated].reset_accumulated();
  }
  statistics_.num_ooms = 0;
}

void Allocator::resetPeakStats(c10::DeviceIndex) {
  const std::lock_guard lock(mutex_);
  for (auto* statistic : {&statistics_.allocation, &statistics_.allocated_bytes, &statistics_.requested_bytes,
                          &statistics_.reserved_bytes}) {
    (*statistic)[kAllocated].reset_peak();
  }
}

} // namespace metalsim::mps

namespace at::mps {

C10_DEFINE_REGISTRY(MPSAllocatorCallbacksRegistry, IMpsAllocatorCallback)

METALSIM_PUBLIC IMPSAllocator* getIMPSAllocator() {
  return &metalsim::mps::Allocator::get();
}

METALSIM_PUBLIC bool isMPSPinnedPtr(const void*) {
  return false;
}

at::Allocator* GetMPSAllocator() {
  return &metalsim::mps::Allocator::get();
}

namespace {

/// For c10::GetAllocator(kMPS), which torch.accelerator and storages use.
const bool is_registered = [] {
  c10::SetAllocator(DeviceType::MPS, GetMPSAllocator(), /*priority=*/1);
  return true;
}();

} // namespace

} // namespace at::mps
