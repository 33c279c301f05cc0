// What every kind of pipeline has.
#pragma once

#include <Metal/MTLDevice.h>

NS_ASSUME_NONNULL_BEGIN

typedef NS_ENUM(NSUInteger, MTLMutability) {
  MTLMutabilityDefault = 0,
  MTLMutabilityMutable = 1,
  MTLMutabilityImmutable = 2,
} API_AVAILABLE(macos(10.13), ios(11.0));

MTL_EXPORT API_AVAILABLE(macos(10.13), ios(11.0)) @interface MTLPipelineBufferDescriptor : NSObject<NSCopying>
@property(nonatomic) MTLMutability mutability;
@end

NS_ASSUME_NONNULL_END
