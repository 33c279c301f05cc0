// MTLCaptureManager, which finds that nothing can be captured here.
#import "objects.h"

NSErrorDomain const MTLCaptureErrorDomain = @"MTLCaptureError";

using namespace metalsim::metal;

@interface SoftwareCaptureScope : SoftwareObject <MTLCaptureScope>
- (instancetype)initWithCommandQueue:(id<MTLCommandQueue>)commandQueue;
@end

@implementation SoftwareCaptureScope {
  id<MTLCommandQueue> _commandQueue;
}

- (instancetype)initWithCommandQueue:(id<MTLCommandQueue>)commandQueue {
  if ((self = [super init])) {
    _commandQueue = [commandQueue retain];
  }
  return self;
}

- (void)dealloc {
  [_commandQueue release];
  [super dealloc];
}

- (void)beginScope {
}

- (void)endScope {
}

- (id<MTLCommandQueue>)commandQueue {
  return _commandQueue;
}

@end

@implementation MTLCaptureDescriptor

- (void)dealloc {
  [_captureObject release];
  [_outputURL release];
  [super dealloc];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLCaptureDescriptor* const copy = [[MTLCaptureDescriptor alloc] init];
  copy.captureObject = self.captureObject;
  copy.destination = self.destination;
  copy.outputURL = self.outputURL;
  return copy;
}

@end

@implementation MTLCaptureManager

+ (MTLCaptureManager*)sharedCaptureManager {
  static MTLCaptureManager* const shared = [[MTLCaptureManager alloc] init];
  return shared;
}

- (void)dealloc {
  [_defaultCaptureScope release];
  [super dealloc];
}

- (id<MTLCaptureScope>)newCaptureScopeWithDevice:(id<MTLDevice>)device {
  return [[SoftwareCaptureScope alloc] initWithCommandQueue:nil];
}

- (id<MTLCaptureScope>)newCaptureScopeWithCommandQueue:(id<MTLCommandQueue>)commandQueue {
  return [[SoftwareCaptureScope alloc] initWithCommandQueue:commandQueue];
}

- (BOOL)supportsDestination:(MTLCaptureDestination)destination {
  return NO;
}

- (BOOL)startCaptureWithDescriptor:(MTLCaptureDescriptor*)descriptor error:(NSError**)error {
  fail(error, MTLCaptureErrorDomain, MTLCaptureErrorNotSupported,
       "-[MTLCaptureManager startCaptureWithDescriptor:error:] cannot capture: metalsim has no GPU whose work Xcode "
       "could "
       "show; capture on a Mac");
  return NO;
}

- (void)stopCapture {
}

- (BOOL)isCapturing {
  return NO;
}

@end
