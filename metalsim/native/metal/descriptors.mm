// Descriptors that only carry values.
#import <Metal/Metal.h>

@implementation MTLComputePassDescriptor

+ (MTLComputePassDescriptor*)computePassDescriptor {
  return [[[MTLComputePassDescriptor alloc] init] autorelease];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLComputePassDescriptor* const copy = [[MTLComputePassDescriptor alloc] init];
  copy.dispatchType = self.dispatchType;
  return copy;
}

@end

@implementation MTLCommandBufferDescriptor

- (instancetype)init {
  if ((self = [super init])) {
    self.retainedReferences = YES;
  }
  return self;
}

- (id)copyWithZone:(NSZone*)zone {
  MTLCommandBufferDescriptor* const copy = [[MTLCommandBufferDescriptor alloc] init];
  copy.retainedReferences = self.retainedReferences;
  copy.errorOptions = self.errorOptions;
  return copy;
}

@end

@implementation MTLFunctionDescriptor

+ (MTLFunctionDescriptor*)functionDescriptor {
  return [[[MTLFunctionDescriptor alloc] init] autorelease];
}

- (void)dealloc {
  [_name release];
  [_specializedName release];
  [_constantValues release];
  [super dealloc];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLFunctionDescriptor* const copy = [[MTLFunctionDescriptor alloc] init];
  copy.name = self.name;
  copy.specializedName = self.specializedName;
  copy.constantValues = self.constantValues;
  copy.options = self.options;
  return copy;
}

@end

@implementation MTLPipelineBufferDescriptor

- (id)copyWithZone:(NSZone*)zone {
  MTLPipelineBufferDescriptor* const copy = [[MTLPipelineBufferDescriptor alloc] init];
  copy.mutability = self.mutability;
  return copy;
}

@end
