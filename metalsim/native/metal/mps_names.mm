// Classes of MetalPerformanceShaders and its graphs that torch's headers name. None of them does anything.
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

@implementation MPSKernel

- (void)dealloc {
  [_label release];
  [super dealloc];
}

@end

@implementation MPSNDArrayDescriptor
@end

@implementation MPSNDArray
@end

@implementation MPSNDArrayMultiaryKernel
@end

@implementation MPSNDArrayUnaryKernel
@end

@implementation MPSGraphObject
@end

@implementation MPSGraph
@end

@implementation MPSGraphTensor

- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}

@end

@implementation MPSGraphTensorData
@end

@implementation MPSGraphExecutionDescriptor
@end

@implementation MPSGraphCompilationDescriptor

- (id)copyWithZone:(NSZone*)zone {
  return [[MPSGraphCompilationDescriptor alloc] init];
}

@end

BOOL MPSSupportsMTLDevice(id<MTLDevice> device) {
  return NO;
}
