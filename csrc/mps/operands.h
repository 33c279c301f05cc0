// Tensors as Metal sees them.
#pragma once

#include <ATen/core/Tensor.h>

#import <Metal/Metal.h>

namespace fused_attn::mps {

using at::Tensor;

/// The buffer that a tensor's storage is. (data_ptr() is no address on this device, and no buffer either for a view.)
inline id<MTLBuffer> buffer_of(const Tensor& tensor) {
  return (__bridge id<MTLBuffer>)tensor.storage().data();
}

/// Where the tensor begins in its buffer, in bytes.
inline NSUInteger byte_offset(const Tensor& tensor) {
  return static_cast<NSUInteger>(tensor.storage_offset()) * tensor.element_size();
}

} // namespace fused_attn::mps
