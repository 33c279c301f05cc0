// A command buffer that can be committed without interrupting the one who encodes.
#pragma once

#include <Metal/Metal.h>

NS_ASSUME_NONNULL_BEGIN

MTL_EXPORT API_AVAILABLE(macos(10.15), ios(13.0)) @interface MPSCommandBuffer : NSObject<MTLCommandBuffer>
@property(readonly, nonnull, nonatomic, retain) id<MTLCommandBuffer> commandBuffer;
@property(readonly, nonnull, nonatomic, retain) id<MTLCommandBuffer> rootCommandBuffer;
+ (instancetype)commandBufferWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
+ (instancetype)commandBufferFromCommandQueue:(id<MTLCommandQueue>)commandQueue;
- (instancetype)initWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
- (void)commitAndContinue;
@end

NS_ASSUME_NONNULL_END
