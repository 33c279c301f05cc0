// The classes of MetalPerformanceShadersGraph, by name only: torch's headers mention them, nothing here runs a graph.
#pragma once

#include <MetalPerformanceShaders/MetalPerformanceShaders.h>

NS_ASSUME_NONNULL_BEGIN

MTL_EXPORT API_AVAILABLE(macos(12.3), ios(15.4)) @interface MPSGraphObject : NSObject
@end

MTL_EXPORT API_AVAILABLE(macos(11.0), ios(14.0)) @interface MPSGraph : MPSGraphObject
@end

MTL_EXPORT API_AVAILABLE(macos(11.0), ios(14.0)) @interface MPSGraphTensor : MPSGraphObject<NSCopying>
@end

MTL_EXPORT API_AVAILABLE(macos(11.0), ios(14.0)) @interface MPSGraphTensorData : MPSGraphObject
@end

MTL_EXPORT API_AVAILABLE(macos(11.0), ios(14.0)) @interface MPSGraphExecutionDescriptor : MPSGraphObject
@end

MTL_EXPORT API_AVAILABLE(macos(12.3), ios(15.4)) @interface MPSGraphCompilationDescriptor : MPSGraphObject<NSCopying>
@end

NS_ASSUME_NONNULL_END
