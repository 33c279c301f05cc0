// What the probe's operators share: tensors as Metal sees them, and pipelines by name.
#pragma once

#import <Metal/Metal.h>

#include <ATen/core/Tensor.h>
#include <optional>
#include <string>

namespace probe {

/// The parameters of the kernels that scale; the kernels' source has the same struct.
struct Scale {
  uint32_t count;
  float factor;
};

/// The buffer behind a tensor, as PyTorch's own extensions get it.
inline id<MTLBuffer> buffer_of(const at::Tensor& tensor) {
  return __builtin_bit_cast(id<MTLBuffer>, tensor.storage().data());
}

inline NSUInteger offset_of(const at::Tensor& tensor) {
  return tensor.storage_offset() * tensor.element_size();
}

/// The pipeline of a kernel of kernels.h, compiled at the first call. `bias` sets the function constants of `scale`.
id<MTLComputePipelineState> pipeline(const std::string& name, std::optional<float> bias = std::nullopt);
id<MTLLibrary> library();

/// Encodes y = x * factor with the kernel `scale` on an encoder.
void encode_scale(id<MTLComputeCommandEncoder> encoder, const at::Tensor& x, const at::Tensor& y, float factor,
                  std::optional<float> bias = std::nullopt);

} // namespace probe
