// What compute and blit encoders have in common.
#pragma once

#import "command_buffers.h"

@interface SoftwareCommandEncoder : SoftwareObject <MTLCommandEncoder>

- (nonnull instancetype)initWithCommandBuffer:(nonnull SoftwareCommandBuffer*)commandBuffer;
- (nonnull SoftwareCommandBuffer*)softwareCommandBuffer;
/// Refuses the call if the encoder has ended.
- (void)checkIsOpen:(nonnull const char*)call;

@end
