// Compute pipelines.
#pragma once

#include <Metal/MTLArgument.h>
#include <Metal/MTLDevice.h>
#include <Metal/MTLLibrary.h>
#include <Metal/MTLPipeline.h>

NS_ASSUME_NONNULL_BEGIN

MTL_EXPORT API_AVAILABLE(macos(10.11), ios(9.0)) @interface MTLComputePipelineReflection : NSObject
@property(readonly) NSArray<id<MTLBinding>>* bindings API_AVAILABLE(macos(13.0), ios(16.0));
@end

MTL_EXPORT API_AVAILABLE(macos(10.11), ios(9.0)) @interface MTLComputePipelineDescriptor : NSObject<NSCopying>
@property(nullable, copy, nonatomic) NSString* label;
@property(nullable, readwrite, nonatomic, strong) id<MTLFunction> computeFunction;
@property(readwrite, nonatomic) BOOL threadGroupSizeIsMultipleOfThreadExecutionWidth;
@property(readwrite, nonatomic) NSUInteger maxTotalThreadsPerThreadgroup API_AVAILABLE(macos(10.14), ios(12.0));
@property(readwrite, nonatomic) BOOL supportIndirectCommandBuffers API_AVAILABLE(macos(11.0), ios(13.0));
@property(readwrite, nonatomic) NSUInteger maxCallStackDepth API_AVAILABLE(macos(11.0), ios(14.0));
@property(readwrite, nonatomic) MTLSize requiredThreadsPerThreadgroup API_AVAILABLE(macos(26.0), ios(26.0));
- (void)reset;
@end

API_AVAILABLE(macos(10.11), ios(8.0))
@protocol MTLComputePipelineState <NSObject>
@property(nullable, readonly) NSString* label API_AVAILABLE(macos(10.13), ios(11.0));
@property(readonly) id<MTLDevice> device;
@property(nullable, readonly) MTLComputePipelineReflection* reflection API_AVAILABLE(macos(26.0), ios(26.0));
@property(readonly) NSUInteger maxTotalThreadsPerThreadgroup;
@property(readonly) NSUInteger threadExecutionWidth;
@property(readonly) NSUInteger staticThreadgroupMemoryLength API_AVAILABLE(macos(10.13), ios(11.0));
@property(readonly) BOOL supportIndirectCommandBuffers API_AVAILABLE(macos(11.0), ios(13.0));
@property(readonly) MTLResourceID gpuResourceID API_AVAILABLE(macos(13.0), ios(16.0));
@end

NS_ASSUME_NONNULL_END
