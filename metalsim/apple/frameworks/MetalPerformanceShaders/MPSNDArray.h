// Arrays of MetalPerformanceShaders, by name only.
#pragma once

#include <MetalPerformanceShaders/MPSCoreTypes.h>
#include <MetalPerformanceShaders/MPSKernel.h>

NS_ASSUME_NONNULL_BEGIN

MTL_EXPORT API_AVAILABLE(macos(10.15), ios(13.0)) @interface MPSNDArrayDescriptor : NSObject
@end

MTL_EXPORT API_AVAILABLE(macos(10.15), ios(13.0)) @interface MPSNDArray : NSObject
@end

MTL_EXPORT API_AVAILABLE(macos(10.15), ios(13.0)) @interface MPSNDArrayMultiaryKernel : MPSKernel
@end

MTL_EXPORT API_AVAILABLE(macos(10.15), ios(13.0)) @interface MPSNDArrayUnaryKernel : MPSKernel
@end

NS_ASSUME_NONNULL_END
