#import "buffers.h"

#include "device_memory.h"
#import "handles.h"
#import "heaps.h"
#include "limits.h"
#include "statistics.h"
#include "validation.h"

#include <cstring>

using namespace metalsim::metal;

namespace {

MTLStorageMode storage_mode(MTLResourceOptions options) {
  return static_cast<MTLStorageMode>(options >> 4 & 0xF);
}

} // namespace

@implementation SoftwareBuffer {
  std::shared_ptr<BufferMemory> _memory;
  void* _handle;
  MTLResourceOptions _options;
  id<MTLHeap> _heap;
  MTLPurgeableState _purgeableState;
}

+ (id<MTLBuffer>)newHandleWithMemory:(std::shared_ptr<BufferMemory>)memory
                             options:(MTLResourceOptions)options
                                heap:(id<MTLHeap>)heap {
  SoftwareBuffer* const buffer = [[SoftwareBuffer alloc] init];
  buffer->_memory = std::move(memory);
  buffer->_options = options;
  buffer->_heap = [heap retain];
  buffer->_purgeableState = MTLPurgeableStateNonVolatile;
  buffer->_handle = add_handle(buffer);
  ++statistics.live_buffers;
  statistics.live_bytes += buffer->_memory->length();
  return (id<MTLBuffer>)buffer->_handle;
}

- (void)dealloc {
  remove_handle(_handle);
  --statistics.live_buffers;
  statistics.live_bytes -= _memory->length();
  [(SoftwareHeap*)_heap giveBack:_memory->length()];
  [_heap release];
  [super dealloc];
}

// NSObject returns self from these, which would put the object's address into the hands of the host.

- (instancetype)retain {
  [super retain];
  return (id)_handle;
}

- (instancetype)autorelease {
  [super autorelease];
  return (id)_handle;
}

- (instancetype)self {
  return (id)_handle;
}

- (BOOL)isEqual:(id)other {
  return other == (id)_handle || other == (id)self;
}

- (NSUInteger)hash {
  return reinterpret_cast<NSUInteger>(_handle);
}

- (const std::shared_ptr<BufferMemory>&)memory {
  return _memory;
}

- (NSUInteger)length {
  return _memory->length();
}

- (void*)contents {
  return storage_mode(_options) == MTLStorageModePrivate ? nullptr : _memory->address();
}

- (uint64_t)gpuAddress {
  return reinterpret_cast<uint64_t>(_memory->address());
}

- (void)didModifyRange:(NSRange)range {
  if (storage_mode(_options) != MTLStorageModeManaged) {
    refuse(
        "-[MTLBuffer didModifyRange:] was sent to a buffer whose storage mode is not managed; only such buffers need "
        "it");
  }
  if (range.location > _memory->length() || range.length > _memory->length() - range.location) {
    refuse("-[MTLBuffer didModifyRange:] got " + text(range.length) + " bytes from " + text(range.location) +
           ", but the buffer has " + text(_memory->length()) + "; the range must lie inside of it");
  }
}

- (MTLStorageMode)storageMode {
  return storage_mode(_options);
}

- (MTLCPUCacheMode)cpuCacheMode {
  return static_cast<MTLCPUCacheMode>(_options & 0xF);
}

- (MTLHazardTrackingMode)hazardTrackingMode {
  const auto mode = static_cast<MTLHazardTrackingMode>(_options >> 8 & 0x3);
  return mode == MTLHazardTrackingModeDefault ? MTLHazardTrackingModeTracked : mode;
}

- (MTLResourceOptions)resourceOptions {
  return _options;
}

- (NSUInteger)allocatedSize {
  return (_memory->length() + kPageAlignment - 1) / kPageAlignment * kPageAlignment;
}

- (id<MTLHeap>)heap {
  return _heap;
}

- (NSUInteger)heapOffset {
  return 0;
}

- (void)makeAliasable {
}

- (BOOL)isAliasable {
  return NO;
}

- (MTLPurgeableState)setPurgeableState:(MTLPurgeableState)state {
  const MTLPurgeableState previous = _purgeableState;
  if (state == MTLPurgeableStateEmpty) {
    std::memset(_memory->address(), 0xFF, _memory->length());
  }
  if (state != MTLPurgeableStateKeepCurrent) {
    _purgeableState = state;
  }
  return previous;
}

- (void)addDebugMarker:(NSString*)marker range:(NSRange)range {
}

- (void)removeAllDebugMarkers {
}

@end

namespace metalsim::metal {

namespace {

void check_length(const char* call, NSUInteger length) {
  if (length == 0) {
    refuse(std::string(call) + " got length 0; a buffer has at least 1 byte");
  }
  if (length > kMaxBufferLength) {
    refuse(std::string(call) + " got length " + text(length) + "; it must not be more than maxBufferLength, " +
           text(kMaxBufferLength));
  }
}

void check_host_can_see(const char* call, MTLResourceOptions options) {
  if (storage_mode(options) == MTLStorageModePrivate) {
    refuse(std::string(call) + " got MTLResourceStorageModePrivate, in which the host's bytes cannot be; use "
                               "MTLResourceStorageModeShared");
  }
}

} // namespace

id<MTLBuffer> new_buffer(const char* call, NSUInteger length, MTLResourceOptions options, id<MTLHeap> heap) {
  check_length(call, length);
  if (storage_mode(options) == MTLStorageModeMemoryless) {
    refuse(std::string(call) + " got MTLResourceStorageModeMemoryless, which is for textures");
  }
  std::shared_ptr<BufferMemory> memory = BufferMemory::allocate(length);
  if (!memory) {
    return nil;
  }
  return [SoftwareBuffer newHandleWithMemory:std::move(memory) options:options heap:heap];
}

id<MTLBuffer> new_buffer_with_bytes(const void* bytes, NSUInteger length, MTLResourceOptions options) {
  const char* const call = "-[MTLDevice newBufferWithBytes:length:options:]";
  check_host_can_see(call, options);
  if (bytes == nullptr) {
    refuse(std::string(call) + " got NULL; it must be the address of " + text(length) + " bytes");
  }
  id<MTLBuffer> const buffer = new_buffer(call, length, options, nil);
  if (buffer != nil) {
    std::memcpy([buffer contents], bytes, length);
  }
  return buffer;
}

id<MTLBuffer> new_buffer_without_copy(void* bytes, NSUInteger length, MTLResourceOptions options,
                                      void (^deallocator)(void*, NSUInteger)) {
  const char* const call = "-[MTLDevice newBufferWithBytesNoCopy:length:options:deallocator:]";
  check_length(call, length);
  check_host_can_see(call, options);
  if (bytes == nullptr || reinterpret_cast<uintptr_t>(bytes) % kPageAlignment != 0 || length % kPageAlignment != 0) {
    refuse(std::string(call) + " got " + text(length) + " bytes at " + text(reinterpret_cast<uintptr_t>(bytes)) +
           "; both must be multiples of the page size (" + text(kPageAlignment) +
           " here, 16384 on a Mac), as memory of vm_allocate or posix_memalign can be");
  }
  BufferMemory::Deallocator release;
  if (deallocator != nil) {
    void (^const kept)(void*, NSUInteger) = [deallocator copy];
    release = [kept](void* address, uint64_t size) {
      kept(address, size);
      [kept release];
    };
  }
  return [SoftwareBuffer newHandleWithMemory:BufferMemory::adopt(bytes, length, std::move(release))
                                     options:options
                                        heap:nil];
}

SoftwareBuffer* buffer_argument(id buffer, const char* call) {
  if (is_handle(buffer)) {
    return resolve_handle((const void*)buffer);
  }
  return argument<SoftwareBuffer>(buffer, "MTLBuffer", call);
}

} // namespace metalsim::metal

void* metalsim_buffer_contents(void* buffer) {
  return buffer == nullptr ? nullptr : [buffer_argument((id)buffer, "metalsim_buffer_contents") memory]->address();
}

uint64_t metalsim_buffer_length(void* buffer) {
  return buffer == nullptr ? 0 : [buffer_argument((id)buffer, "metalsim_buffer_length") memory]->length();
}
