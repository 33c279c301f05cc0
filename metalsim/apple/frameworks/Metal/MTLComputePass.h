// How a compute encoder begins.
#pragma once

#include <Metal/MTLTypes.h>

NS_ASSUME_NONNULL_BEGIN

#ifndef METALSIM_MTL_DISPATCH_TYPE
#define METALSIM_MTL_DISPATCH_TYPE
typedef NS_ENUM(NSUInteger, MTLDispatchType) {
  MTLDispatchTypeSerial,
  MTLDispatchTypeConcurrent,
} API_AVAILABLE(macos(10.14), ios(12.0));
#endif

MTL_EXPORT API_AVAILABLE(macos(11.0), ios(14.0)) @interface MTLComputePassDescriptor : NSObject<NSCopying>
+ (MTLComputePassDescriptor*)computePassDescriptor;
@property(nonatomic) MTLDispatchType dispatchType;
@end

NS_ASSUME_NONNULL_END
