// Launches one of the kernels of kernels.h that has a fault of memory or synchronisation.
#include "metal.h"

#include <ATen/mps/MPSStream.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

namespace probe {

namespace {

void encode(id<MTLComputeCommandEncoder> encoder, const at::Tensor& x, const at::Tensor& y, const std::string& kernel) {
  const auto count = static_cast<NSUInteger>(x.numel());
  const Scale parameters{static_cast<uint32_t>(count), 2};
  const bool has_input = kernel == "scale_unbounded" || kernel == "reverse_racing";
  // One threadgroup more than there is data for.
  const NSUInteger threads = kernel == "scale_unbounded" ? count + 64 : count;
  [encoder setComputePipelineState:pipeline(kernel)];
  if (has_input) {
    [encoder setBuffer:buffer_of(x) offset:offset_of(x) atIndex:0];
  }
  [encoder setBuffer:buffer_of(y) offset:0 atIndex:has_input ? 1 : 0];
  if (kernel == "scale_unbounded") {
    [encoder setBytes:&parameters length:sizeof(parameters) atIndex:2];
  }
  [encoder dispatchThreads:MTLSizeMake(threads, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
}

at::Tensor fault(const at::Tensor& x, c10::string_view kernel) {
  at::Tensor y = at::empty_like(x);
  at::mps::MPSStream* stream = at::mps::getCurrentMPSStream();
  const std::string name(kernel);
  at::mps::dispatch_sync_with_rethrow(stream->queue(), ^{
    @autoreleasepool {
      encode(stream->commandEncoder(), x, y, name);
    }
  });
  return y;
}

} // namespace

TORCH_LIBRARY_IMPL(metalsim_probe, MPS, module) {
  module.impl("fault", fault);
}

} // namespace probe
