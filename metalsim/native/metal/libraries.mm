#import "libraries.h"

#import "compile_options.h"
#import "functions.h"
#include "validation.h"

#include <algorithm>

NSErrorDomain const MTLLibraryErrorDomain = @"MTLLibraryErrorDomain";

using namespace metalsim::metal;

@implementation SoftwareLibrary {
  uint64_t _token;
  std::vector<std::string> _names;
  NSUInteger _maxTotalThreadsPerThreadgroup;
}

- (instancetype)initWithToken:(uint64_t)token options:(MTLCompileOptions*)options {
  if ((self = [super init])) {
    _token = token;
    _names = compiler().kernel_names(token);
    _maxTotalThreadsPerThreadgroup = options.maxTotalThreadsPerThreadgroup;
  }
  return self;
}

- (void)dealloc {
  compiler().release(_token);
  [super dealloc];
}

- (uint64_t)token {
  return _token;
}

- (NSUInteger)maxTotalThreadsPerThreadgroup {
  return _maxTotalThreadsPerThreadgroup;
}

- (MTLLibraryType)type {
  return MTLLibraryTypeExecutable;
}

- (NSString*)installName {
  return nil;
}

- (NSArray<NSString*>*)functionNames {
  NSMutableArray<NSString*>* const names = [NSMutableArray array];
  for (const std::string& name : _names) {
    [names addObject:string(name)];
  }
  return names;
}

- (id<MTLFunction>)newFunctionWithName:(NSString*)name {
  const std::string wanted = utf8(name);
  if (std::find(_names.begin(), _names.end(), wanted) == _names.end()) {
    return nil;
  }
  return new_function(self, wanted);
}

- (id<MTLFunction>)newFunctionWithName:(NSString*)name
                        constantValues:(MTLFunctionConstantValues*)constantValues
                                 error:(NSError**)error {
  if (constantValues != nil) {
    check_kind(constantValues, [MTLFunctionConstantValues class], "MTLFunctionConstantValues",
               "-[MTLLibrary newFunctionWithName:constantValues:error:]");
  }
  const std::string wanted = utf8(name);
  if (std::find(_names.begin(), _names.end(), wanted) == _names.end()) {
    return fail(error, MTLLibraryErrorDomain, MTLLibraryErrorFunctionNotFound,
                "the library has no function '" + wanted + "'; functionNames lists those that it has");
  }
  return new_specialised_function(self, wanted, constantValues, error);
}

- (void)newFunctionWithName:(NSString*)name
             constantValues:(MTLFunctionConstantValues*)constantValues
          completionHandler:(void (^)(id<MTLFunction>, NSError*))completionHandler {
  NSError* error = nil;
  id<MTLFunction> const function = [self newFunctionWithName:name constantValues:constantValues error:&error];
  completionHandler(function, error);
  [function release];
}

- (id<MTLFunction>)newFunctionWithDescriptor:(MTLFunctionDescriptor*)descriptor error:(NSError**)error {
  const char* const call = "-[MTLLibrary newFunctionWithDescriptor:error:]";
  check_kind(descriptor, [MTLFunctionDescriptor class], "MTLFunctionDescriptor", call);
  if (descriptor.specializedName != nil) {
    unsupported(std::string(call) + " got a specializedName, which metalsim does not have; leave it nil");
  }
  return [self newFunctionWithName:descriptor.name constantValues:descriptor.constantValues error:error];
}

@end

namespace metalsim::metal {

id<MTLLibrary> new_library(NSString* source, MTLCompileOptions* options, NSError** error) {
  const char* const call = "-[MTLDevice newLibraryWithSource:options:error:]";
  check_kind(source, [NSString class], "NSString", call);
  if (options != nil) {
    check_kind(options, [MTLCompileOptions class], "MTLCompileOptions", call);
  }
  try {
    const uint64_t token = compiler().compile(utf8(source), macros(options), language_version(options));
    return [[SoftwareLibrary alloc] initWithToken:token options:options];
  } catch (const CompilationFailed& failure) {
    return fail(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, failure.what());
  }
}

namespace {

/// What the file of a "compiled" library begins with that is source in truth: the only kind that can be run here. Tests
/// of host code write such files in place of Apple's compiler.
NSString* const kSourceMark = @"// metalsim: a library as source\n";

} // namespace

id<MTLLibrary> new_library_of_file(NSString* path, NSError** error) {
  const char* const call = "-[MTLDevice newLibraryWithURL:error:]";
  const bool is_source = [path hasSuffix:@".metal"];
  NSString* const source = [NSString stringWithContentsOfFile:path encoding:NSUTF8StringEncoding error:nil];
  if (!is_source && ![source hasPrefix:kSourceMark]) {
    return refuse_compiled_library(call, error);
  }
  if (source == nil) {
    return fail(error, MTLLibraryErrorDomain, MTLLibraryErrorFileNotFound,
                std::string(call) + " got " + utf8(path) + ", which cannot be read");
  }
  return new_library(source, nil, error);
}

id<MTLLibrary> refuse_compiled_library(const char* call, NSError** error) {
  return fail(error, MTLLibraryErrorDomain, MTLLibraryErrorUnsupported,
              std::string(call) +
                  " got a compiled library, which holds code for Apple's GPUs that metalsim cannot run; "
                  "compile the source with newLibraryWithSource:options:error:, or name a .metal file");
}

} // namespace metalsim::metal
