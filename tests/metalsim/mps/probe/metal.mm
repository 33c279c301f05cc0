#include "metal.h"

#include "kernels.h"

#include <algorithm>
#include <c10/util/Exception.h>
#include <map>

namespace probe {

namespace {

std::string text_of(NSError* error) {
  return error.localizedDescription.UTF8String;
}

id<MTLComputePipelineState> build(const std::string& name, std::optional<float> bias) {
  MTLFunctionConstantValues* constants = [[MTLFunctionConstantValues alloc] init];
  const bool has_bias = bias.has_value();
  const float value = bias.value_or(0);
  [constants setConstantValue:&has_bias type:MTLDataTypeBool atIndex:0];
  [constants setConstantValue:&value type:MTLDataTypeFloat withName:@"bias"];
  NSError* error = nil;
  id<MTLFunction> function = [library() newFunctionWithName:[NSString stringWithUTF8String:name.c_str()]
                                             constantValues:constants
                                                      error:&error];
  TORCH_CHECK(function != nil, "probe: no function ", name, ": ", text_of(error));
  id<MTLComputePipelineState> state = [library().device newComputePipelineStateWithFunction:function error:&error];
  TORCH_CHECK(state != nil, "probe: no pipeline for ", name, ": ", text_of(error));
#if !__has_feature(objc_arc)
  [constants release];
  [function release];
#endif
  return state;
}

} // namespace

id<MTLLibrary> library() {
  static id<MTLLibrary> compiled = [] {
    NSError* error = nil;
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    id<MTLLibrary> result = [device newLibraryWithSource:[NSString stringWithUTF8String:kSource]
                                                 options:nil
                                                   error:&error];
    TORCH_CHECK(result != nil, "probe: the Metal library failed to compile: ", text_of(error));
    return result;
  }();
  return compiled;
}

id<MTLComputePipelineState> pipeline(const std::string& name, std::optional<float> bias) {
  static auto* known = new std::map<std::pair<std::string, std::optional<float>>, id<MTLComputePipelineState>>;
  id<MTLComputePipelineState>& state = (*known)[{name, bias}];
  if (state == nil) {
    state = build(name, bias);
  }
  return state;
}

void encode_scale(id<MTLComputeCommandEncoder> encoder, const at::Tensor& x, const at::Tensor& y, float factor,
                  std::optional<float> bias) {
  const Scale parameters{static_cast<uint32_t>(x.numel()), factor};
  id<MTLComputePipelineState> state = pipeline("scale", bias);
  const NSUInteger threads = std::min<NSUInteger>(state.maxTotalThreadsPerThreadgroup, 256);
  [encoder setComputePipelineState:state];
  [encoder setBuffer:buffer_of(x) offset:offset_of(x) atIndex:0];
  [encoder setBuffer:buffer_of(y) offset:offset_of(y) atIndex:1];
  [encoder setBytes:&parameters length:sizeof(parameters) atIndex:2];
  [encoder dispatchThreads:MTLSizeMake(parameters.count, 1, 1) threadsPerThreadgroup:MTLSizeMake(threads, 1, 1)];
}

} // namespace probe
