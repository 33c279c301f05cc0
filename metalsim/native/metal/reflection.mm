#import "reflection.h"

#import "objects.h"

using namespace metalsim::metal;

@interface SoftwareBinding : NSObject <MTLBufferBinding>
- (instancetype)initWithArgument:(const metalsim::abi::Argument&)argument used:(BOOL)used;
@end

@implementation SoftwareBinding {
  metalsim::abi::Argument _argument;
  std::string _name;
  BOOL _used;
}

- (instancetype)initWithArgument:(const metalsim::abi::Argument&)argument used:(BOOL)used {
  if ((self = [super init])) {
    _argument = argument;
    _name = argument.name;
    _used = used;
  }
  return self;
}

- (NSString*)name {
  return string(_name);
}

- (MTLBindingType)type {
  const bool is_buffer = _argument.kind == metalsim::abi::ArgumentKind::buffer;
  return is_buffer ? MTLBindingTypeBuffer : MTLBindingTypeThreadgroupMemory;
}

- (MTLBindingAccess)access {
  return _argument.is_writable ? MTLBindingAccessReadWrite : MTLBindingAccessReadOnly;
}

- (NSUInteger)index {
  return _argument.index;
}

- (BOOL)isUsed {
  return _used;
}

- (BOOL)isArgument {
  return YES;
}

- (NSUInteger)bufferAlignment {
  return _argument.alignment;
}

- (NSUInteger)bufferDataSize {
  return _argument.size;
}

- (MTLDataType)bufferDataType {
  return MTLDataTypeNone;
}

@end

@interface MTLComputePipelineReflection () {
@public
  NSArray<id<MTLBinding>>* _bindings;
}
@end

@implementation MTLComputePipelineReflection

- (void)dealloc {
  [_bindings release];
  [super dealloc];
}

- (NSArray<id<MTLBinding>>*)bindings {
  return _bindings;
}

@end

namespace metalsim::metal {

MTLComputePipelineReflection* pipeline_reflection(const PipelineState& state) {
  NSMutableArray<id<MTLBinding>>* const bindings = [NSMutableArray array];
  for (const abi::Argument& argument : state.buffers) {
    [bindings addObject:[[[SoftwareBinding alloc] initWithArgument:argument used:state.uses(argument)] autorelease]];
  }
  for (const abi::Argument& argument : state.threadgroup_memory) {
    [bindings addObject:[[[SoftwareBinding alloc] initWithArgument:argument used:YES] autorelease]];
  }
  MTLComputePipelineReflection* const reflection = [[[MTLComputePipelineReflection alloc] init] autorelease];
  reflection->_bindings = [bindings copy];
  return reflection;
}

} // namespace metalsim::metal
