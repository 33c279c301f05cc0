// at::native::mps::MetalShaderLibrary: Metal source compiled once, with its pipelines by name.
#pragma GCC visibility push(default)
#include <ATen/mps/MPSStream.h>
#include <ATen/native/mps/MetalShaderLibrary.h>
#pragma GCC visibility pop

#include <c10/util/Exception.h>

#include <cstdlib>
#include <string_view>

namespace at::native::mps {

namespace {

using at::mps::is_macos_13_or_newer;
using at::mps::MacOSVersion;
using at::mps::MPSDevice;

bool wants_fast_math() {
  const char* const value = std::getenv("PYTORCH_MPS_FAST_MATH");
  return value != nullptr && std::string_view(value) != "0";
}

/// The options with which torch 2.13 compiles its kernels. Autoreleased.
MTLCompileOptions* torch_compile_options() {
  MTLCompileOptions* const options = [[[MTLCompileOptions alloc] init] autorelease];
  const bool fast = wants_fast_math();
  if (!is_macos_13_or_newer(MacOSVersion::MACOS_VER_15_0_PLUS)) {
    options.languageVersion = MTLLanguageVersion3_1;
    options.fastMathEnabled = fast;
    return options;
  }
  const bool has_metal_4 = is_macos_13_or_newer(MacOSVersion::MACOS_VER_26_0_PLUS);
  options.languageVersion = has_metal_4 ? MTLLanguageVersion4_0 : MTLLanguageVersion3_2;
  options.mathMode = fast ? MTLMathModeFast : MTLMathModeSafe;
  options.mathFloatingPointFunctions = fast ? MTLMathFloatingPointFunctionsFast : MTLMathFloatingPointFunctionsPrecise;
  return options;
}

std::string text_of(NSError* error) {
  NSString* const description = [error localizedDescription];
  return description == nil ? "Metal gives no reason" : [description UTF8String];
}

/// The source with each `{}` replaced by the next parameter; `{{` and `}}` stand for braces.
std::string substitute(const std::string& source, const std::initializer_list<std::string>& parameters) {
  std::string text;
  const std::string* parameter = parameters.begin();
  for (size_t i = 0; i < source.size(); i++) {
    const std::string_view pair = std::string_view(source).substr(i, 2);
    if (pair == "{}") {
      TORCH_CHECK(parameter != parameters.end(), "MetalShaderLibrary: the source has more {} than the ",
                  parameters.size(), " parameters of the call");
      text += *parameter++;
      i++;
    } else if (pair == "{{" || pair == "}}") {
      text += source[i++];
    } else {
      text += source[i];
    }
  }
  return text;
}

/// torch's own kernels are in a metallib inside of its macOS library.
class BundledLibrary final : public MetalShaderLibrary {
public:
  BundledLibrary() : MetalShaderLibrary("") {}

protected:
  id<MTLLibrary> getLibrary() override {
    TORCH_CHECK_NOT_IMPLEMENTED(false,
                                "MetalShaderLibrary::getBundledLibrary: torch's build for Linux does not contain its "
                                "Metal kernels; use a MetalShaderLibrary of your own source");
  }
};

} // namespace

// ---- libraries ------------------------------------------------------------------------------------------------------

MetalShaderLibrary::~MetalShaderLibrary() {
  for (const auto& [key, pipeline] : cplMap) {
    [pipeline.first release];
    [pipeline.second release];
  }
}

DynamicMetalShaderLibrary::~DynamicMetalShaderLibrary() {
  [library release];
}

MetalShaderLibrary& MetalShaderLibrary::getBundledLibrary() {
  static auto* const bundled = new BundledLibrary;
  return *bundled;
}

id<MTLLibrary> MetalShaderLibrary::getLibrary() {
  if (library == nil) {
    TORCH_CHECK(nparams == 0, "MetalShaderLibrary: the source takes ", nparams, " parameters, and the call has none");
    library = compileLibrary(shaderSource);
  }
  return library;
}

id<MTLLibrary> MetalShaderLibrary::getLibrary(const std::initializer_list<std::string>& parameters) {
  TORCH_CHECK(nparams == parameters.size(), "MetalShaderLibrary: the source takes ", nparams,
              " parameters, and the call has ", parameters.size());
  std::string key;
  for (const std::string& parameter : parameters) {
    key += ":" + parameter;
  }
  id<MTLLibrary>& compiled = libMap[key];
  if (compiled == nil) {
    compiled = compileLibrary(substitute(shaderSource, parameters));
  }
  return compiled;
}

id<MTLLibrary> MetalShaderLibrary::compileLibrary(const std::string& source) {
  @autoreleasepool {
    NSError* error = nil;
    MTLCompileOptions* const options = compile_options != nil ? compile_options : torch_compile_options();
    NSString* const text = [NSString stringWithUTF8String:source.c_str()];
    TORCH_CHECK(text != nil, "Failed to create metal library: the source is not UTF-8");
    id<MTLLibrary> compiled = [MPSDevice::getInstance()->device() newLibraryWithSource:text
                                                                               options:options
                                                                                 error:&error];
    if (compiled == nil) {
      throw c10::SyntaxError({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, text_of(error));
    }
    return compiled;
  }
}

std::pair<id<MTLComputePipelineState>, id<MTLFunction>>
MetalShaderLibrary::getLibraryPipelineState(id<MTLLibrary> of_library, const std::string& name) {
  const std::string key = std::to_string(reinterpret_cast<uintptr_t>(of_library)) + ":" + name;
  const auto found = cplMap.find(key);
  if (found != cplMap.end()) {
    return found->second;
  }
  @autoreleasepool {
    id<MTLFunction> function = [of_library newFunctionWithName:[NSString stringWithUTF8String:name.c_str()]];
    TORCH_CHECK(function != nil, "Failed to create function state object for: ", name);
    NSError* error = nil;
    id<MTLComputePipelineState> pipeline = [[of_library device] newComputePipelineStateWithFunction:function
                                                                                              error:&error];
    if (pipeline == nil) {
      const std::string reason = text_of(error);
      [function release];
      TORCH_CHECK(false, "Failed to created pipeline state object, error: ", reason);
    }
    return cplMap.emplace(key, std::make_pair(pipeline, function)).first->second;
  }
}

std::vector<std::string> MetalShaderLibrary::getFunctionNames() {
  TORCH_CHECK(library != nil || nparams == 0, "Library must be initialized first");
  std::vector<std::string> names;
  @autoreleasepool {
    for (NSString* name in [getLibrary() functionNames]) {
      names.emplace_back([name UTF8String]);
    }
  }
  return names;
}

bool MetalShaderLibrary::hasFunction(const std::string& name) {
  if (!functionNamesPopulated) {
    const std::vector<std::string> names = getFunctionNames();
    functionNames.insert(names.begin(), names.end());
    functionNamesPopulated = true;
  }
  return functionNames.count(name) != 0;
}

std::shared_ptr<MetalKernelFunction> MetalShaderLibrary::getKernelFunction(const std::string& name) {
  const auto [pipeline, function] = getLibraryPipelineState(getLibrary(), name);
  return std::make_shared<MetalKernelFunction>(pipeline, function);
}

MetalKernelFunction* MetalShaderLibrary::getCachedKernelFunctionPtr(const std::string& name) {
  std::unique_ptr<MetalKernelFunction>& kernel = kernelCache[name];
  if (kernel == nullptr) {
    const auto [pipeline, function] = getLibraryPipelineState(getLibrary(), name);
    kernel = std::make_unique<MetalKernelFunction>(pipeline, function);
  }
  return kernel.get();
}

PrecompiledMetalShaderLibrary::PrecompiledMetalShaderLibrary(std::vector<uint8_t>) : MetalShaderLibrary("") {
  TORCH_CHECK_NOT_IMPLEMENTED(false,
                              "PrecompiledMetalShaderLibrary: a metallib holds code for Apple's GPUs, which metalsim "
                              "cannot run; compile the kernels from their source");
}

PrecompiledMetalShaderLibrary::PrecompiledMetalShaderLibrary(const std::string&)
    : PrecompiledMetalShaderLibrary(std::vector<uint8_t>()) {}

PrecompiledMetalShaderLibrary::~PrecompiledMetalShaderLibrary() {
  [library release];
}

} // namespace at::native::mps
