// Captures for Xcode's debugger.
#pragma once

#include <Metal/MTLDefines.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLCaptureScope;
@protocol MTLCommandQueue;
@protocol MTLDevice;

typedef NS_ENUM(NSInteger, MTLCaptureError) {
  MTLCaptureErrorNotSupported = 1,
  MTLCaptureErrorAlreadyCapturing,
  MTLCaptureErrorInvalidDescriptor,
} API_AVAILABLE(macos(10.15), ios(13.0));

typedef NS_ENUM(NSInteger, MTLCaptureDestination) {
  MTLCaptureDestinationDeveloperTools = 1,
  MTLCaptureDestinationGPUTraceDocument,
} API_AVAILABLE(macos(10.15), ios(13.0));

MTL_EXTERN NSErrorDomain const MTLCaptureErrorDomain API_AVAILABLE(macos(10.15), ios(13.0));

MTL_EXPORT API_AVAILABLE(macos(10.15), ios(13.0)) @interface MTLCaptureDescriptor : NSObject<NSCopying>
@property(nonatomic, strong, nullable) id captureObject;
@property(nonatomic, assign) MTLCaptureDestination destination;
@property(nonatomic, copy, nullable) NSURL* outputURL;
@end

MTL_EXPORT API_AVAILABLE(macos(10.13), ios(11.0)) @interface MTLCaptureManager : NSObject
+ (MTLCaptureManager*)sharedCaptureManager;
- (id<MTLCaptureScope>)newCaptureScopeWithDevice:(id<MTLDevice>)device;
- (id<MTLCaptureScope>)newCaptureScopeWithCommandQueue:(id<MTLCommandQueue>)commandQueue;
- (BOOL)supportsDestination:(MTLCaptureDestination)destination API_AVAILABLE(macos(10.15), ios(13.0));
- (BOOL)startCaptureWithDescriptor:(MTLCaptureDescriptor*)descriptor
                             error:(__autoreleasing NSError**)error API_AVAILABLE(macos(10.15), ios(13.0));
- (void)stopCapture;
@property(nullable, readwrite, strong, atomic) id<MTLCaptureScope> defaultCaptureScope;
@property(readonly) BOOL isCapturing;
@end

NS_ASSUME_NONNULL_END
