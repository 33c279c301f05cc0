// The ways in which extensions get at torch's Metal stream: its encoder, an encoder of their own, its command buffer.
#include "metal.h"

#include <ATen/mps/MPSStream.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>
#include <torch/mps.h>

namespace probe {

namespace {

/// On the encoder that torch's own operators share: what PyTorch's Metal operators do.
at::Tensor scale(const at::Tensor& x, double factor, std::optional<double> bias) {
  TORCH_CHECK(x.is_contiguous() && x.scalar_type() == at::kFloat, "probe: x must be contiguous and float32");
  at::Tensor y = at::empty_like(x);
  if (x.numel() == 0) {
    return y;
  }
  at::mps::MPSStream* stream = at::mps::getCurrentMPSStream();
  dispatch_sync(stream->queue(), ^{
    @autoreleasepool {
      encode_scale(stream->commandEncoder(), x, y, static_cast<float>(factor), bias);
    }
  });
  return y;
}

/// An encoder of its own, after torch's has been closed.
at::Tensor scale_own_encoder(const at::Tensor& x, double factor) {
  at::Tensor y = at::empty_like(x);
  at::mps::MPSStream* stream = at::mps::getCurrentMPSStream();
  dispatch_sync(stream->queue(), ^{
    @autoreleasepool {
      stream->endKernelCoalescing();
      id<MTLComputeCommandEncoder> encoder = [stream->commandBuffer() computeCommandEncoder];
      encode_scale(encoder, x, y, static_cast<float>(factor));
      [encoder endEncoding];
    }
  });
  return y;
}

/// The public C++ interface of torch::mps, as in PyTorch's sample of a custom operator for MPS.
at::Tensor scale_command_buffer(const at::Tensor& x, double factor) {
  at::Tensor y = at::empty_like(x);
  @autoreleasepool {
    id<MTLCommandBuffer> command_buffer = torch::mps::get_command_buffer();
    TORCH_CHECK(command_buffer != nil, "probe: torch has no command buffer");
    dispatch_sync(torch::mps::get_dispatch_queue(), ^{
      id<MTLComputeCommandEncoder> encoder = [command_buffer computeCommandEncoder];
      encode_scale(encoder, x, y, static_cast<float>(factor));
      [encoder endEncoding];
      torch::mps::commit();
    });
  }
  return y;
}

/// A strided input as it is: byte offset and 64-bit strides go to the kernel; threadgroup memory of the dispatch's
/// choice.
at::Tensor row_sum(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2 && x.scalar_type() == at::kFloat, "probe: x must be a float32 matrix");
  at::Tensor y = at::empty({x.size(0)}, x.options());
  at::mps::MPSStream* stream = at::mps::getCurrentMPSStream();
  dispatch_sync(stream->queue(), ^{
    @autoreleasepool {
      constexpr NSUInteger kThreads = 64;
      const int64_t strides[2] = {x.stride(0), x.stride(1)};
      const auto columns = static_cast<uint32_t>(x.size(1));
      id<MTLComputeCommandEncoder> encoder = stream->commandEncoder();
      [encoder setComputePipelineState:pipeline("row_sum")];
      [encoder setBuffer:buffer_of(x) offset:offset_of(x) atIndex:0];
      [encoder setBuffer:buffer_of(y) offset:offset_of(y) atIndex:1];
      [encoder setBytes:strides length:sizeof(strides) atIndex:2];
      [encoder setBytes:&columns length:sizeof(columns) atIndex:3];
      [encoder setThreadgroupMemoryLength:kThreads * sizeof(float) atIndex:0];
      [encoder dispatchThreadgroups:MTLSizeMake(x.size(0), 1, 1) threadsPerThreadgroup:MTLSizeMake(kThreads, 1, 1)];
    }
  });
  return y;
}

/// y is what reaches a completion handler: the number of handlers that have run.
int64_t completed_handlers(const at::Tensor& x) {
  __block int64_t completed = 0;
  at::mps::MPSStream* stream = at::mps::getCurrentMPSStream();
  at::Tensor y = scale(x, 2, std::nullopt);
  stream->addCompletedHandler(^(id<MTLCommandBuffer>) {
    ++completed;
  });
  torch::mps::synchronize();
  return completed;
}

} // namespace

TORCH_LIBRARY_IMPL(metalsim_probe, MPS, module) {
  module.impl("scale", scale);
  module.impl("scale_own_encoder", scale_own_encoder);
  module.impl("scale_command_buffer", scale_command_buffer);
  module.impl("row_sum", row_sum);
  module.impl("completed_handlers", completed_handlers);
}

} // namespace probe
