#import "pipelines.h"

#include "../kernel_error.h"
#import "ownership.h"
#include "source.h"

#include <Availability.h>
#include <c10/util/Exception.h>

#include <mutex>
#include <optional>
#include <sstream>
#include <unordered_map>

namespace fused_attn::mps {
namespace {

/// What Metal said instead of making an object.
struct Refusal {
  const char* what; ///< it does not do
  std::string message;
};

/// An object, or why Metal does not make it. Neither where there is nothing to make it of.
template <typename Object> struct Made {
  Object object;
  std::optional<Refusal> refusal;
};

/// Objects and refusals by key, for every thread.
template <typename Object> class Cache {
public:
  /// What is under `key`; where there is nothing yet, what `make` returns, whose object is owned by the pool. Other
  /// threads go on while it is made; of two that are made at once the first stays. What was refused is not tried again.
  template <typename Make> Made<Object> get(const std::string& key, Make make) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = made_.find(key);
      if (found != made_.end()) {
        return found->second;
      }
    }
    const Made<Object> made = make();
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [place, is_new] = made_.try_emplace(key, made);
    if (is_new) {
      kept(made.object);
    }
    return place->second;
  }

private:
  std::mutex mutex_;
  std::unordered_map<std::string, Made<Object>> made_;
};

using Library = Made<id<MTLLibrary>>;
using Pipeline = Made<id<MTLComputePipelineState>>;

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

/// The line of a message that says what is wrong: a compiler's has warnings before it, and code after it.
std::string first_line(const std::string& message) {
  std::istringstream lines(message);
  std::string first;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("error: ") != std::string::npos) {
      return line;
    }
    if (first.empty()) {
      first = line;
    }
  }
  return first;
}

/// "prefill.metal FUSED_ATTN_ELEMENT=half …": names a library, in messages too.
std::string library_name(const Kernel& kernel) {
  std::string name = kernel.file;
  for (const Macro& macro : kernel.macros) {
    name.append(" ").append(macro.name).append("=").append(macro.value);
  }
  return name;
}

/// "prefill of prefill.metal FUSED_ATTN_ELEMENT=half …": names a kernel in messages, whatever its constants are.
std::string kernel_name(const Kernel& kernel) {
  return std::string(kernel.name) + " of " + library_name(kernel);
}

std::string pipeline_name(const Kernel& kernel, int64_t threads) {
  std::string name = kernel_name(kernel);
  for (const Constant& constant : kernel.constants) {
    name.append(" ").append(std::to_string(constant.index)).append("=").append(std::to_string(constant.value));
  }
  return name + " " + std::to_string(threads);
}

MTLCompileOptions* compile_options(const Kernel& kernel) {
  NSMutableDictionary<NSString*, NSObject*>* const macros = [NSMutableDictionary dictionary];
  for (const Macro& macro : kernel.macros) {
    macros[text(macro.name)] = text(macro.value);
  }
  MTLCompileOptions* const options = owned_by_pool([[MTLCompileOptions alloc] init]);
  options.preprocessorMacros = macros;
  options.languageVersion = MTLLanguageVersion3_1; // bfloat; macOS 14
  // The safe mode, by the name that this macOS has for it (docs/kernels.md): a kernel's bits do not depend on which
  // macOS compiled it, and hidden scores, which are infinities, and NaN are what they are. mathMode is newer than the
  // oldest SDK that can build this (Xcode 15, macOS 14's), whose headers do not declare it, so that asking the running
  // macOS is not enough.
#if __MAC_OS_X_VERSION_MAX_ALLOWED >= 150000
  if (@available(macOS 15.0, *)) {
    options.mathMode = MTLMathModeSafe;
    options.mathFloatingPointFunctions = MTLMathFloatingPointFunctionsPrecise;
    return options;
  }
#endif
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  options.fastMathEnabled = NO;
#pragma clang diagnostic pop
  return options;
}

/// The library as it was compiled when the package was built; nothing where it was not, or where Metal does not load
/// it.
///
/// One that this macOS does not take is no reason to stop, since its source is there, too; but nobody should have to
/// wait for the compiler without knowing why.
Library new_packed_library(id<MTLDevice> device, const Kernel& kernel) {
  const std::string path = packed_library(library_file_name(kernel));
  if (path.empty()) {
    return {};
  }
  NSError* error = nil;
  const id<MTLLibrary> library = owned_by_pool([device newLibraryWithURL:[NSURL fileURLWithPath:text(path)]
                                                                   error:&error]);
  if (library == nil) {
    TORCH_WARN("fused_attn: Metal does not load ", path, ": ", message_of(error), "; its source is compiled instead");
  }
  return {library, {}};
}

Library new_source_library(id<MTLDevice> device, const Kernel& kernel) {
  NSError* error = nil;
  const id<MTLLibrary> library = owned_by_pool([device newLibraryWithSource:text(metal_source(kernel.file))
                                                                    options:compile_options(kernel)
                                                                      error:&error]);
  if (library == nil) {
    return {nil, Refusal{"does not compile", message_of(error)}};
  }
  return {library, {}};
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

Pipeline new_pipeline(id<MTLDevice> device, id<MTLLibrary> library, const Kernel& kernel, int64_t threads) {
  NSError* error = nil;
  const id<MTLFunction> function = owned_by_pool([library newFunctionWithName:text(kernel.name)
                                                               constantValues:constant_values(kernel)
                                                                        error:&error]);
  if (function == nil) {
    return {nil, Refusal{"does not specialise", message_of(error)}};
  }
  MTLComputePipelineDescriptor* const descriptor = owned_by_pool([[MTLComputePipelineDescriptor alloc] init]);
  descriptor.computeFunction = function;
  descriptor.label = text(kernel.name);
  // So small a threadgroup leaves the compiler all registers that a thread can have.
  descriptor.maxTotalThreadsPerThreadgroup = static_cast<NSUInteger>(threads);
  descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
  const id<MTLComputePipelineState> pipeline =
      owned_by_pool([device newComputePipelineStateWithDescriptor:descriptor
                                                          options:MTLPipelineOptionNone
                                                       reflection:nil
                                                            error:&error]);
  if (pipeline == nil) {
    return {nil, Refusal{"makes no pipeline of", message_of(error)}};
  }
  return {pipeline, {}};
}

/// Of the packed library, where there is one and Metal takes it; otherwise of the source.
Pipeline new_pipeline(id<MTLDevice> device, const Kernel& kernel, int64_t threads) {
  const std::string name = library_name(kernel);
  const Library packed = libraries().get("packed " + name, [&] { return new_packed_library(device, kernel); });
  if (packed.object != nil) {
    const Pipeline pipeline = new_pipeline(device, packed.object, kernel, threads);
    if (!pipeline.refusal) {
      return pipeline;
    }
    TORCH_WARN("fused_attn: of the library that was compiled with the package, Metal ", pipeline.refusal->what, " ",
               kernel_name(kernel), ": ", first_line(pipeline.refusal->message), "; its source is compiled instead");
  }
  const Library library = libraries().get(name, [&] { return new_source_library(device, kernel); });
  return library.refusal ? Pipeline{nil, library.refusal} : new_pipeline(device, library.object, kernel, threads);
}

} // namespace

id<MTLComputePipelineState> pipeline_of(id<MTLDevice> device, const Kernel& kernel, int64_t threads) {
  // A pipeline is made for one size of threadgroup.
  const Pipeline made =
      pipelines().get(pipeline_name(kernel, threads), [&] { return new_pipeline(device, kernel, threads); });
  if (made.refusal) {
    const std::string name = kernel_name(kernel), reason = first_line(made.refusal->message);
    const std::string sentence =
        c10::str("fused_attn: Metal ", made.refusal->what, " ", name, ": ", reason,
                 "; use stock attention for such calls (F.scaled_dot_product_attention, in transformers "
                 "attn_implementation=\"sdpa\"), and please attach the file that `python -m torch_fused_attn doctor "
                 "--report` writes to an issue");
    throw KernelError(sentence, name, reason, made.refusal->message);
  }
  return made.object;
}

} // namespace fused_attn::mps
