// Reading a tensor's elements.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

namespace fused_attn {

/// The elements of a tensor in host memory, to be read only: a lazy copy of another tensor stays one.
///
/// In place of at::Tensor::const_data_ptr<T>(). What torch 2.9 calls that in its libraries, clang 18 and newer spell
/// otherwise, so that an extension which calls it is linked and does not load.
template <typename T> const T* elements_of(const at::Tensor& tensor) {
  TORCH_INTERNAL_ASSERT_DEBUG_ONLY(tensor.scalar_type() == c10::CppTypeToScalarType<T>::value);
  return static_cast<const T*>(tensor.const_data_ptr());
}

} // namespace fused_attn
