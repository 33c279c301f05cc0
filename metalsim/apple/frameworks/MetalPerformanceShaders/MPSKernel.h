// The base of MetalPerformanceShaders' kernels, none of which runs here.
#pragma once

#include <Metal/Metal.h>

NS_ASSUME_NONNULL_BEGIN

MTL_EXPORT API_AVAILABLE(macos(10.13), ios(9.0)) @interface MPSKernel : NSObject
@property(copy, nullable) NSString* label;
@end

MTL_EXTERN BOOL MPSSupportsMTLDevice(id<MTLDevice> _Nullable device) API_AVAILABLE(macos(10.13), ios(9.0));

NS_ASSUME_NONNULL_END
