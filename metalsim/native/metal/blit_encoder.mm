#import "blit_encoder.h"

#import "buffers.h"
#import "events.h"
#include "validation.h"

using namespace metalsim::metal;

namespace {

void check_range(const char* call, const char* what, NSUInteger offset, NSUInteger size, SoftwareBuffer* buffer) {
  const NSUInteger length = [buffer length];
  if (offset > length || size > length - offset) {
    refuse(std::string(call) + " got " + text(size) + " bytes from " + text(offset) + " on of the " + what +
           ", which has " + text(length) + " bytes; the range must lie inside of it");
  }
}

} // namespace

@implementation SoftwareBlitCommandEncoder

- (void)copyFromBuffer:(id<MTLBuffer>)sourceBuffer
          sourceOffset:(NSUInteger)sourceOffset
              toBuffer:(id<MTLBuffer>)destinationBuffer
     destinationOffset:(NSUInteger)destinationOffset
                  size:(NSUInteger)size {
  const char* const call = "-[MTLBlitCommandEncoder copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:]";
  [self checkIsOpen:call];
  SoftwareBuffer* const source = buffer_argument(sourceBuffer, call);
  SoftwareBuffer* const destination = buffer_argument(destinationBuffer, call);
  check_range(call, "source", sourceOffset, size, source);
  check_range(call, "destination", destinationOffset, size, destination);
  SoftwareCommandBuffer* const commandBuffer = [self softwareCommandBuffer];
  [commandBuffer keep:source];
  [commandBuffer keep:destination];
  [commandBuffer append:CopyCommand{{[source memory], sourceOffset}, {[destination memory], destinationOffset}, size}];
}

- (void)fillBuffer:(id<MTLBuffer>)buffer range:(NSRange)range value:(uint8_t)value {
  const char* const call = "-[MTLBlitCommandEncoder fillBuffer:range:value:]";
  [self checkIsOpen:call];
  SoftwareBuffer* const filled = buffer_argument(buffer, call);
  check_range(call, "buffer", range.location, range.length, filled);
  SoftwareCommandBuffer* const commandBuffer = [self softwareCommandBuffer];
  [commandBuffer keep:filled];
  [commandBuffer append:FillCommand{{[filled memory], range.location}, range.length, value}];
}

- (void)synchronizeResource:(id<MTLResource>)resource {
  const char* const call = "-[MTLBlitCommandEncoder synchronizeResource:]";
  [self checkIsOpen:call];
  SoftwareBuffer* const buffer = buffer_argument(resource, call);
  if ([buffer storageMode] != MTLStorageModeManaged) {
    refuse(std::string(call) + " got a buffer whose storage mode is not managed; only such buffers are synchronised");
  }
}

- (void)updateFence:(id<MTLFence>)fence {
  const char* const call = "-[MTLBlitCommandEncoder updateFence:]";
  [self checkIsOpen:call];
  check_kind(fence, [SoftwareFence class], "MTLFence", call);
}

- (void)waitForFence:(id<MTLFence>)fence {
  const char* const call = "-[MTLBlitCommandEncoder waitForFence:]";
  [self checkIsOpen:call];
  check_kind(fence, [SoftwareFence class], "MTLFence", call);
}

@end
