// Libraries, functions with constants, and pipelines.
#import "metal_fixture.h"

#include <fstream>

namespace {

void functions_have_names() {
  id<MTLLibrary> const library = [new_library(@"add_one scale") autorelease];
  check_equal([[library functionNames] count], 2u);
  check([[[library functionNames] objectAtIndex:1] isEqual:@"scale"]);
  check([[library newFunctionWithName:@"scal"] autorelease] == nil);
  id<MTLFunction> const scale = [[library newFunctionWithName:@"scale"] autorelease];
  check([[scale name] isEqual:@"scale"]);
  check_equal(scale.functionType, MTLFunctionTypeKernel);
  library.label = @"attention";
  check([library.label isEqual:@"attention"]);
}

void source_that_does_not_compile() {
  test_compiler();
  NSError* error = nil;
  id<MTLLibrary> const library = [device() newLibraryWithSource:@"add_one add_two" options:nil error:&error];
  check(library == nil);
  check_text(text_of(error), "error: unknown type name 'add_two'");
  check([[error domain] isEqual:MTLLibraryErrorDomain]);
  check_equal([error code], static_cast<NSInteger>(MTLLibraryErrorCompileFailure));
  check([device() newLibraryWithSource:@"add_two" options:nil error:nil] == nil); // nobody asks why
}

void options_reach_the_compiler() {
  MTLCompileOptions* const options = [[[MTLCompileOptions alloc] init] autorelease];
  check_equal(options.languageVersion, MTLLanguageVersion3_2); // the newest of macOS 15
  options.languageVersion = MTLLanguageVersion3_1;
  options.preprocessorMacros = @{@"HEAD_DIM" : @128, @"TYPE" : @"half"};
  options.maxTotalThreadsPerThreadgroup = 256;
  MTLCompileOptions* const copy = [[options copy] autorelease];
  options.preprocessorMacros = nil;
  id<MTLLibrary> const library = [[device() newLibraryWithSource:@"add_one" options:copy error:nil] autorelease];
  const TestCompiler& compiler = test_compiler();
  check_text(compiler.language_version, "3.1");
  check_equal(compiler.macros.size(), 2u);
  for (const auto& [name, value] : compiler.macros) {
    check(name == "HEAD_DIM" ? value == "128" : value == "half");
  }
  id<MTLFunction> const function = [[library newFunctionWithName:@"add_one"] autorelease];
  id<MTLComputePipelineState> const limited = [[device() newComputePipelineStateWithFunction:function
                                                                                       error:nil] autorelease];
  check_equal([limited maxTotalThreadsPerThreadgroup], 256u);
}

void files_of_source() {
  test_compiler();
  NSError* error = nil;
  const std::string path = std::string(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp") + "/metalsim_test.metal";
  std::ofstream(path) << "add_one\n";
  NSString* const name = [NSString stringWithUTF8String:path.c_str()];
  id<MTLLibrary> const library = [[device() newLibraryWithURL:[NSURL fileURLWithPath:name] error:&error] autorelease];
  std::remove(path.c_str());
  check_equal([[library functionNames] count], 1u);
  check([device() newLibraryWithURL:[NSURL fileURLWithPath:name] error:&error] == nil);
  check_text(text_of(error), "which cannot be read");
  check([device() newLibraryWithURL:[NSURL fileURLWithPath:@"/default.metallib"] error:&error] == nil);
  check_text(text_of(error), "a compiled library, which holds code for Apple's GPUs");
  check([device() newDefaultLibrary] == nil);
}

/// What the compiler gets for one value.
template <class T> metalsim::metal::ConstantValue through(T value, MTLDataType type) {
  MTLFunctionConstantValues* const values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  [values setConstantValue:&value type:type atIndex:5];
  id<MTLLibrary> const library = [new_library(@"needs_constants") autorelease];
  [[library newFunctionWithName:@"needs_constants" constantValues:values error:nil] autorelease];
  check_equal(test_compiler().constants.size(), 1u);
  check_equal(test_compiler().constants[0].index, 5u);
  return test_compiler().constants[0];
}

void every_scalar_type() {
  using Kind = metalsim::metal::ConstantValue::Kind;
  check(through(true, MTLDataTypeBool).kind == Kind::boolean);
  check_equal(through(true, MTLDataTypeBool).integer, 1);
  check(through(int8_t{-3}, MTLDataTypeChar).kind == Kind::integer);
  check_equal(through(int8_t{-3}, MTLDataTypeChar).integer, -3);
  check_equal(through(uint8_t{253}, MTLDataTypeUChar).integer, 253);
  check_equal(through(int16_t{-300}, MTLDataTypeShort).integer, -300);
  check_equal(through(uint16_t{65000}, MTLDataTypeUShort).integer, 65000);
  check_equal(through(-70000, MTLDataTypeInt).integer, -70000);
  check_equal(through(4000000000u, MTLDataTypeUInt).integer, 4000000000);
  check_equal(through(int64_t{-5000000000}, MTLDataTypeLong).integer, -5000000000);
  check_equal(static_cast<uint64_t>(through(UINT64_MAX - 1, MTLDataTypeULong).integer), UINT64_MAX - 1);
  check(through(0.5f, MTLDataTypeFloat).kind == Kind::floating);
  check_equal(through(0.5f, MTLDataTypeFloat).floating, 0.5);
  check_equal(through(static_cast<_Float16>(-1.5), MTLDataTypeHalf).floating, -1.5);
  check_equal(through(uint16_t{0x4049}, MTLDataTypeBFloat).floating, 3.140625);
}

void constants_by_index_name_and_range() {
  MTLFunctionConstantValues* const values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  const uint32_t sizes[] = {64, 128, 256};
  [values setConstantValues:sizes type:MTLDataTypeUInt withRange:NSMakeRange(2, 3)];
  [values setConstantValue:&sizes[0] type:MTLDataTypeUInt withName:@"head_dim"];
  [values setConstantValue:&sizes[2] type:MTLDataTypeUInt atIndex:2]; // again
  id<MTLLibrary> const library = [new_library(@"needs_constants") autorelease];
  MTLFunctionConstantValues* const copy = [[values copy] autorelease];
  [values reset];
  check([[library newFunctionWithName:@"needs_constants" constantValues:copy error:nil] autorelease] != nil);
  const auto& got = test_compiler().constants;
  check_equal(got.size(), 4u);
  check_equal(got[0].integer, 256);
  check_equal(got[2].index, 4u);
  check_text(got[3].name, "head_dim");
}

void missing_constants() {
  id<MTLLibrary> const library = [new_library(@"needs_constants") autorelease];
  NSError* error = nil;
  id<MTLFunction> const function = [[library newFunctionWithName:@"needs_constants"] autorelease];
  check(function != nil);
  check([device() newComputePipelineStateWithFunction:function error:&error] == nil);
  check_text(text_of(error), "function constant 'head_dim' has no value");
  error = nil;
  MTLFunctionConstantValues* const none = [[[MTLFunctionConstantValues alloc] init] autorelease];
  check([library newFunctionWithName:@"needs_constants" constantValues:none error:&error] == nil);
  check_text(text_of(error), "function constant 'head_dim' has no value");
  check([library newFunctionWithName:@"absent" constantValues:none error:&error] == nil);
  check_text(text_of(error), "the library has no function 'absent'");
  check_equal([error code], static_cast<NSInteger>(MTLLibraryErrorFunctionNotFound));
  NSDictionary<NSString*, MTLFunctionConstant*>* const known = [function functionConstantsDictionary];
  check_equal([known count], 2u);
  check_equal([known objectForKey:@"is_causal"].index, 3u);
  check_equal([known objectForKey:@"is_causal"].type, MTLDataTypeBool);
}

void pipelines_have_limits() {
  id<MTLComputePipelineState> const few = pipeline(@"few_threads");
  check_equal([few maxTotalThreadsPerThreadgroup], 64u);
  check_equal([few threadExecutionWidth], 32u);
  check_equal([pipeline(@"half_greedy") staticThreadgroupMemoryLength], 20000u);
  check_equal([pipeline(@"add_one") maxTotalThreadsPerThreadgroup], 1024u);
}

void too_much_threadgroup_memory() {
  id<MTLLibrary> const library = [new_library(@"greedy") autorelease];
  id<MTLFunction> const function = [[library newFunctionWithName:@"greedy"] autorelease];
  NSError* error = nil;
  check([device() newComputePipelineStateWithFunction:function error:&error] == nil);
  check_text(text_of(error), "Threadgroup memory size (33792) exceeds the maximum threadgroup memory allowed (32768)");
}

void descriptors_limit_threads() {
  id<MTLLibrary> const library = [new_library(@"scale") autorelease];
  MTLComputePipelineDescriptor* const descriptor = [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  descriptor.computeFunction = [[library newFunctionWithName:@"scale"] autorelease];
  descriptor.label = @"scaled";
  descriptor.maxTotalThreadsPerThreadgroup = 96;
  MTLComputePipelineReflection* reflection = nil;
  id<MTLComputePipelineState> const made =
      [[device() newComputePipelineStateWithDescriptor:[[descriptor copy] autorelease]
                                               options:MTLPipelineOptionBindingInfo
                                            reflection:&reflection
                                                 error:nil] autorelease];
  check_equal([made maxTotalThreadsPerThreadgroup], 96u);
  check([[made label] isEqual:@"scaled"]);
  check_equal([reflection.bindings count], 3u);
  id<MTLBufferBinding> const parameters = (id<MTLBufferBinding>)[reflection.bindings objectAtIndex:2];
  check([parameters.name isEqual:@"parameters"]);
  check_equal(parameters.bufferDataSize, 8u);
  check_equal(parameters.access, MTLBindingAccessReadOnly);
  check(parameters.isUsed);
}

void completion_handlers() {
  test_compiler();
  __block int called = 0;
  [device() newLibraryWithSource:@"add_one"
                         options:nil
               completionHandler:^(id<MTLLibrary> library, NSError* error) {
                 check(library != nil && error == nil);
                 [device() newComputePipelineStateWithFunction:[[library newFunctionWithName:@"add_one"] autorelease]
                                             completionHandler:^(id<MTLComputePipelineState> made, NSError*) {
                                               called += made != nil;
                                             }];
               }];
  check_equal(called, 1);
}

void libraries_are_given_back() {
  const int before = test_compiler().live_libraries;
  @autoreleasepool {
    pipeline(@"add_one");
  }
  check_equal(test_compiler().live_libraries, before);
}

} // namespace

int main() {
  run_case("functions_have_names", functions_have_names);
  run_case("source_that_does_not_compile", source_that_does_not_compile);
  run_case("options_reach_the_compiler", options_reach_the_compiler);
  run_case("files_of_source", files_of_source);
  run_case("every_scalar_type", every_scalar_type);
  run_case("constants_by_index_name_and_range", constants_by_index_name_and_range);
  run_case("missing_constants", missing_constants);
  run_case("pipelines_have_limits", pipelines_have_limits);
  run_case("too_much_threadgroup_memory", too_much_threadgroup_memory);
  run_case("descriptors_limit_threads", descriptors_limit_threads);
  run_case("completion_handlers", completion_handlers);
  run_case("libraries_are_given_back", libraries_are_given_back);
  return failures;
}
