// at::native::mps::MetalKernelFunction: one kernel of a MetalShaderLibrary, and its dispatch on torch's stream.
#pragma GCC visibility push(default)
#include <ATen/mps/MPSStream.h>
#include <ATen/native/mps/MetalShaderLibrary.h>
#pragma GCC visibility pop

#include "../metal/compiler.h"

#include <ATen/core/TensorBase.h>
#include <c10/util/complex.h>

#include <algorithm>

namespace at::native::mps {

namespace {

MTLSize size_of(c10::ArrayRef<uint64_t> lengths) {
  const auto length = [lengths](size_t axis) { return axis < lengths.size() ? lengths[axis] : 1; };
  return MTLSizeMake(length(0), length(1), length(2));
}

/// A scalar that lives on the CPU, as the kernel's bytes: Metal has no double.
void set_scalar(id<MTLComputeCommandEncoder> encoder, const TensorBase& scalar, unsigned index) {
  TORCH_CHECK(scalar.dim() == 0, "Passed CPU tensor to MPS op");
  if (scalar.scalar_type() == kDouble) {
    const auto value = static_cast<float>(*scalar.const_data_ptr<double>());
    [encoder setBytes:&value length:sizeof value atIndex:index];
  } else if (scalar.scalar_type() == kComplexDouble) {
    const auto value = static_cast<c10::complex<float>>(*scalar.const_data_ptr<c10::complex<double>>());
    [encoder setBytes:&value length:sizeof value atIndex:index];
  } else {
    [encoder setBytes:scalar.const_data_ptr() length:scalar.element_size() atIndex:index];
  }
}

} // namespace

METALSIM_PUBLIC void* get_tensor_gpu_address(const TensorBase& tensor) {
  TORCH_CHECK(tensor.device().is_mps(), "get_tensor_gpu_address: the tensor is on ", tensor.device(),
              "; it must be on mps");
  id<MTLBuffer> buffer = static_cast<id<MTLBuffer>>(tensor.storage().mutable_data());
  return reinterpret_cast<void*>([buffer gpuAddress] + tensor.storage_offset() * tensor.element_size());
}

MetalKernelFunction::MetalKernelFunction(id<MTLComputePipelineState> pipeline, id<MTLFunction> function)
    : cps([pipeline retain]), func([function retain]) {}

MetalKernelFunction::~MetalKernelFunction() {
  [cps release];
  [func release];
}

uint64_t MetalKernelFunction::getMaxThreadsPerThreadgroup() const {
  return [cps maxTotalThreadsPerThreadgroup];
}

uint64_t MetalKernelFunction::getThreadExecutionWidth() const {
  return [cps threadExecutionWidth];
}

uint64_t MetalKernelFunction::getStaticThreadGroupMemoryLength() const {
  return [cps staticThreadgroupMemoryLength];
}

void MetalKernelFunction::runCommandBlock(std::function<void(void)> run) {
  const auto& to_run = run;
  at::mps::dispatch_sync_with_rethrow(at::mps::getCurrentMPSStream()->queue(), ^{
    @autoreleasepool {
      to_run();
    }
  });
}

void MetalKernelFunction::startEncoding() {
  encoder = at::mps::getCurrentMPSStream()->commandEncoder();
  [encoder setComputePipelineState:cps];
}

void MetalKernelFunction::setArg(unsigned index, const TensorBase& tensor) {
  if (tensor.device().is_cpu()) {
    set_scalar(encoder, tensor, index);
    return;
  }
  id<MTLBuffer> buffer = static_cast<id<MTLBuffer>>(tensor.storage().mutable_data());
  [encoder setBuffer:buffer offset:tensor.storage_offset() * tensor.element_size() atIndex:index];
}

void MetalKernelFunction::setArg(unsigned index, const void* bytes, uint64_t size) {
  [encoder setBytes:bytes length:size atIndex:index];
}

void MetalKernelFunction::setErrorBufferIndex(unsigned index) {
  [encoder setBuffer:at::mps::getCurrentMPSStream()->getErrorBuffer() offset:0 atIndex:index];
}

void MetalKernelFunction::dispatch(uint64_t length, std::optional<uint64_t> group_size) {
  const uint64_t most = getMaxThreadsPerThreadgroup();
  const uint64_t size = group_size.value_or(std::min(length, most));
  TORCH_CHECK_VALUE(size <= most, "Threadgroup size exceeds ", most, " limit");
  [encoder dispatchThreads:MTLSizeMake(length, 1, 1) threadsPerThreadgroup:MTLSizeMake(size, 1, 1)];
}

void MetalKernelFunction::dispatch(c10::ArrayRef<uint64_t> length, c10::OptionalArrayRef<uint64_t> group_size) {
  TORCH_CHECK(!length.empty() && length.size() <= 3, "Dispatch dimensions must be less than 3 and non-empty");
  TORCH_CHECK(!group_size.has_value() || group_size->size() == length.size(),
              "size and group_size must have same number of dimensions");
  const uint64_t most = getMaxThreadsPerThreadgroup();
  const MTLSize threads = size_of(length);
  MTLSize group = MTLSizeMake(std::min<uint64_t>(most, length[0]), 1, 1);
  if (group_size.has_value()) {
    group = size_of(*group_size);
  }
  TORCH_CHECK_VALUE(group.width * group.height * group.depth <= most, "Threadgroup size exceeds ", most, " limit");
  [encoder dispatchThreads:threads threadsPerThreadgroup:group];
}

} // namespace at::native::mps
