#import "pipelines.h"

#import "ownership.h"
#include "source.h"

#include <c10/util/Exception.h>

#include <mutex>
#include <unordered_map>

namespace fused_attn::mps {
namespace {

/// Objects by key, for every thread.
template <typename Object> class Cache {
public:
  /// The object under `key`, which `make` returns, owned, where there is none yet. Other threads go on while it is
  /// made; of two that are made at once the first stays.
  template <typename Make> Object get(const std::string& key, Make make) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = objects_.find(key);
      if (found != objects_.end()) {
        return found->second;
      }
    }
    const Object made = owned_by_pool(make());
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [place, is_new] = objects_.try_emplace(key, made);
    return is_new ? kept(made) : place->second;
  }

private:
  std::mutex mutex_;
  std::unordered_map<std::string, Object> objects_;
};

// Never destroyed: operators may still run while the process ends.
Cache<id<MTLLibrary>>& libraries() {
  static auto* const cache = new Cache<id<MTLLibrary>>;
  return *cache;
}

Cache<id<MTLComputePipelineState>>& pipelines() {
  static auto* const cache = new Cache<id<MTLComputePipelineState>>;
  return *cache;
}

NSString* text(const std::string& characters) {
  return [NSString stringWithUTF8String:characters.c_str()];
}

std::string message_of(NSError* error) {
  const char* const message = error.localizedDescription.UTF8String;
  return message == nullptr ? "Metal gave no reason" : message;
}

/// "prefill.metal FUSED_ATTN_ELEMENT=half …": names a library, in messages too.
std::string library_name(const Kernel& kernel) {
  std::string name = kernel.file;
  for (const Macro& macro : kernel.macros) {
    name.append(" ").append(macro.name).append("=").append(macro.value);
  }
  return name;
}

std::string pipeline_name(const Kernel& kernel) {
  std::string name = kernel.name;
  for (const Constant& constant : kernel.constants) {
    name.append(" ").append(std::to_string(constant.index)).append("=").append(std::to_string(constant.value));
  }
  return name + " of " + library_name(kernel);
}

MTLCompileOptions* compile_options(const Kernel& kernel) {
  NSMutableDictionary<NSString*, NSObject*>* const macros = [NSMutableDictionary dictionary];
  for (const Macro& macro : kernel.macros) {
    macros[text(macro.name)] = text(macro.value);
  }
  MTLCompileOptions* const options = owned_by_pool([[MTLCompileOptions alloc] init]);
  options.preprocessorMacros = macros;
  options.languageVersion = MTLLanguageVersion3_1; // bfloat; macOS 14
  // Fast math takes infinities and NaN for impossible. Hidden scores and empty rows are infinities, and a NaN in an
  // input has to reach the output.
  if (@available(macOS 15.0, *)) {
    options.mathMode = MTLMathModeRelaxed;
  } else {
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
    options.fastMathEnabled = NO;
#pragma clang diagnostic pop
  }
  return options;
}

/// The library as it was compiled when the package was built, or nil where it was not.
///
/// One that this macOS does not take is no reason to stop, since its source is there, too; but nobody should have to
/// wait for the compiler without knowing why.
id<MTLLibrary> new_packed_library(id<MTLDevice> device, const Kernel& kernel) {
  const std::string path = packed_library(library_file_name(kernel));
  if (path.empty()) {
    return nil;
  }
  NSError* error = nil;
  const id<MTLLibrary> library = [device newLibraryWithURL:[NSURL fileURLWithPath:text(path)] error:&error];
  if (library == nil) {
    TORCH_WARN("fused_attn: Metal does not load ", path, ": ", message_of(error), "; its source is compiled instead");
  }
  return library;
}

id<MTLLibrary> new_library(id<MTLDevice> device, const Kernel& kernel) {
  if (const id<MTLLibrary> packed = new_packed_library(device, kernel)) {
    return packed;
  }
  NSError* error = nil;
  const id<MTLLibrary> library = [device newLibraryWithSource:text(metal_source(kernel.file))
                                                      options:compile_options(kernel)
                                                        error:&error];
  TORCH_CHECK(library != nil, "fused_attn: Metal does not compile ", library_name(kernel), ": ", message_of(error));
  return library;
}

MTLFunctionConstantValues* constant_values(const Kernel& kernel) {
  MTLFunctionConstantValues* const values = owned_by_pool([[MTLFunctionConstantValues alloc] init]);
  for (const Constant& constant : kernel.constants) {
    if (constant.is_bool) {
      const bool value = constant.value != 0;
      [values setConstantValue:&value type:MTLDataTypeBool atIndex:constant.index];
    } else {
      [values setConstantValue:&constant.value type:MTLDataTypeUInt atIndex:constant.index];
    }
  }
  return values;
}

id<MTLComputePipelineState> new_pipeline(id<MTLDevice> device, const Kernel& kernel, int64_t threads) {
  const id<MTLLibrary> library = libraries().get(library_name(kernel), [&] { return new_library(device, kernel); });
  NSError* error = nil;
  const id<MTLFunction> function = owned_by_pool([library newFunctionWithName:text(kernel.name)
                                                               constantValues:constant_values(kernel)
                                                                        error:&error]);
  TORCH_CHECK(function != nil, "fused_attn: Metal has no kernel ", pipeline_name(kernel), ": ", message_of(error));
  MTLComputePipelineDescriptor* const descriptor = owned_by_pool([[MTLComputePipelineDescriptor alloc] init]);
  descriptor.computeFunction = function;
  descriptor.label = text(kernel.name);
  // So small a threadgroup leaves the compiler all registers that a thread can have.
  descriptor.maxTotalThreadsPerThreadgroup = static_cast<NSUInteger>(threads);
  descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
  const id<MTLComputePipelineState> pipeline = [device newComputePipelineStateWithDescriptor:descriptor
                                                                                     options:MTLPipelineOptionNone
                                                                                  reflection:nil
                                                                                       error:&error];
  TORCH_CHECK(pipeline != nil, "fused_attn: Metal makes no pipeline of ", pipeline_name(kernel), ": ",
              message_of(error));
  return pipeline;
}

} // namespace

id<MTLComputePipelineState> pipeline_of(id<MTLDevice> device, const Kernel& kernel, int64_t threads) {
  // A pipeline is made for one size of threadgroup.
  return pipelines().get(pipeline_name(kernel) + " " + std::to_string(threads),
                         [&] { return new_pipeline(device, kernel, threads); });
}

} // namespace fused_attn::mps
