#import "functions.h"

#import "function_constants.h"

#include "validation.h"

#include <mutex>
#include <optional>

using namespace metalsim::metal;

@implementation SoftwareFunction {
  SoftwareLibrary* _library;
  std::string _name;
  std::mutex _mutex;
  std::optional<CompiledKernel> _compiled;
}

- (instancetype)initWithLibrary:(SoftwareLibrary*)library name:(const std::string&)name {
  if ((self = [super init])) {
    _library = [library retain];
    _name = name;
  }
  return self;
}

- (void)dealloc {
  [_library release];
  [super dealloc];
}

- (void)compileWithValues:(const std::vector<ConstantValue>&)values {
  const std::lock_guard<std::mutex> lock(_mutex);
  if (!_compiled) {
    _compiled = compiler().specialise(_library.token, _name, values);
  }
}

- (CompiledKernel)compiled {
  [self compileWithValues:{}];
  return *_compiled;
}

- (SoftwareLibrary*)library {
  return _library;
}

- (NSString*)name {
  return string(_name);
}

- (MTLFunctionType)functionType {
  return MTLFunctionTypeKernel;
}

- (NSDictionary<NSString*, MTLFunctionConstant*>*)functionConstantsDictionary {
  return function_constants_dictionary(compiler().function_constants(_library.token));
}

- (MTLFunctionOptions)options {
  return MTLFunctionOptionNone;
}

- (id<MTLArgumentEncoder>)newArgumentEncoderWithBufferIndex:(NSUInteger)index {
  unsupported(
      "-[MTLFunction newArgumentEncoderWithBufferIndex:] is not there; write the gpuAddress of the buffers into "
      "the argument buffer");
}

@end

namespace metalsim::metal {

id<MTLFunction> new_function(SoftwareLibrary* library, const std::string& name) {
  return [[SoftwareFunction alloc] initWithLibrary:library name:name];
}

id<MTLFunction> new_specialised_function(SoftwareLibrary* library, const std::string& name,
                                         MTLFunctionConstantValues* values, NSError** error) {
  SoftwareFunction* const function = [[SoftwareFunction alloc] initWithLibrary:library name:name];
  try {
    [function compileWithValues:constant_values(values)];
  } catch (const CompilationFailed& failure) {
    [function release];
    return fail(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, failure.what());
  }
  return function;
}

} // namespace metalsim::metal
