#import "heaps.h"

#import "buffers.h"
#include "validation.h"

#include <mutex>

using namespace metalsim::metal;

@implementation SoftwareHeap {
  MTLHeapDescriptor* _descriptor;
  std::mutex _mutex;
  NSUInteger _usedSize;
}

- (instancetype)initWithDescriptor:(MTLHeapDescriptor*)descriptor {
  if ((self = [super init])) {
    _descriptor = [descriptor copy];
  }
  return self;
}

- (void)dealloc {
  [_descriptor release];
  [super dealloc];
}

- (MTLStorageMode)storageMode {
  return _descriptor.storageMode;
}

- (MTLCPUCacheMode)cpuCacheMode {
  return _descriptor.cpuCacheMode;
}

- (MTLHazardTrackingMode)hazardTrackingMode {
  return _descriptor.hazardTrackingMode;
}

- (MTLResourceOptions)resourceOptions {
  return _descriptor.resourceOptions;
}

- (MTLHeapType)type {
  return _descriptor.type;
}

- (NSUInteger)size {
  return _descriptor.size;
}

- (NSUInteger)usedSize {
  const std::lock_guard<std::mutex> lock(_mutex);
  return _usedSize;
}

- (NSUInteger)currentAllocatedSize {
  return _descriptor.size;
}

- (NSUInteger)allocatedSize {
  return _descriptor.size;
}

- (NSUInteger)maxAvailableSizeWithAlignment:(NSUInteger)alignment {
  return _descriptor.size - [self usedSize];
}

- (bool)take:(NSUInteger)size {
  const std::lock_guard<std::mutex> lock(_mutex);
  if (size > _descriptor.size - _usedSize) {
    return false;
  }
  _usedSize += size;
  return true;
}

- (void)giveBack:(NSUInteger)length {
  const std::lock_guard<std::mutex> lock(_mutex);
  _usedSize -= heap_size_and_align(length).size;
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
  const char* const call = "-[MTLHeap newBufferWithLength:options:]";
  const NSUInteger storage = options & MTLResourceStorageModeMask;
  if (storage != static_cast<NSUInteger>(_descriptor.storageMode) << MTLResourceStorageModeShift) {
    refuse(std::string(call) + " got another storage mode than the heap's; they must be the same");
  }
  const NSUInteger size = heap_size_and_align(length).size;
  if (![self take:size]) {
    return nil;
  }
  try {
    id<MTLBuffer> const buffer = new_buffer(call, length, options, self);
    if (buffer == nil) {
      [self giveBack:length];
    }
    return buffer;
  } catch (...) {
    [self giveBack:length];
    throw;
  }
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options offset:(NSUInteger)offset {
  unsupported("-[MTLHeap newBufferWithLength:options:offset:] is not there: buffers of a placement heap would share "
              "memory; use a heap of type MTLHeapTypeAutomatic");
}

- (MTLPurgeableState)setPurgeableState:(MTLPurgeableState)state {
  return MTLPurgeableStateNonVolatile;
}

@end

@implementation MTLHeapDescriptor

- (id)copyWithZone:(NSZone*)zone {
  MTLHeapDescriptor* const copy = [[MTLHeapDescriptor alloc] init];
  copy.size = self.size;
  copy.storageMode = self.storageMode;
  copy.cpuCacheMode = self.cpuCacheMode;
  copy.hazardTrackingMode = self.hazardTrackingMode;
  copy.type = self.type;
  return copy;
}

// The three modes are fields of the options.

- (MTLResourceOptions)resourceOptions {
  return static_cast<NSUInteger>(self.cpuCacheMode) << MTLResourceCPUCacheModeShift |
         static_cast<NSUInteger>(self.storageMode) << MTLResourceStorageModeShift |
         static_cast<NSUInteger>(self.hazardTrackingMode) << MTLResourceHazardTrackingModeShift;
}

- (void)setResourceOptions:(MTLResourceOptions)options {
  self.cpuCacheMode = static_cast<MTLCPUCacheMode>(options & MTLResourceCPUCacheModeMask);
  self.storageMode = static_cast<MTLStorageMode>((options & MTLResourceStorageModeMask) >> MTLResourceStorageModeShift);
  self.hazardTrackingMode = static_cast<MTLHazardTrackingMode>((options & MTLResourceHazardTrackingModeMask) >>
                                                               MTLResourceHazardTrackingModeShift);
}

@end

namespace metalsim::metal {

MTLSizeAndAlign heap_size_and_align(NSUInteger length) {
  constexpr NSUInteger kAlignment = 256;
  return {(length + kAlignment - 1) / kAlignment * kAlignment, kAlignment};
}

} // namespace metalsim::metal
