// MTLComputeCommandEncoder.
#pragma once

#import "command_encoder.h"

@interface SoftwareComputeCommandEncoder : SoftwareCommandEncoder <MTLComputeCommandEncoder>

- (nonnull instancetype)initWithCommandBuffer:(nonnull SoftwareCommandBuffer*)commandBuffer
                                 dispatchType:(MTLDispatchType)dispatchType;
/// See metalsim_begin_operation.
- (void)beginOperation;

@end
