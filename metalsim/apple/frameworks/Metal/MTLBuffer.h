// Bytes that host and device share.
#pragma once

#include <Metal/MTLResource.h>

NS_ASSUME_NONNULL_BEGIN

API_AVAILABLE(macos(10.11), ios(8.0))
@protocol MTLBuffer <MTLResource>
@property(readonly) NSUInteger length;
- (void*)contents NS_RETURNS_INNER_POINTER;
- (void)didModifyRange:(NSRange)range API_AVAILABLE(macos(10.11))API_UNAVAILABLE(ios);
- (void)addDebugMarker:(NSString*)marker range:(NSRange)range API_AVAILABLE(macos(10.12), ios(10.0));
- (void)removeAllDebugMarkers API_AVAILABLE(macos(10.12), ios(10.0));
@property(readonly) MTLGPUAddress gpuAddress API_AVAILABLE(macos(13.0), ios(16.0));
@end

NS_ASSUME_NONNULL_END
