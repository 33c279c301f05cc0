// Copies to, from and on the device: kernels on the MPS key. They synchronise.
#pragma once

#include <ATen/core/Tensor.h>

namespace metalsim::mps {

/// torch's own copy_ counts mps among the devices for which Linux has a copy stub.
at::Tensor& aten_copy_(at::Tensor& self, const at::Tensor& source, bool non_blocking);
at::Tensor aten_copy_from(const at::Tensor& self, const at::Tensor& destination, bool non_blocking);
at::Tensor aten_copy_from_and_resize(const at::Tensor& self, const at::Tensor& destination);
at::Scalar aten_local_scalar_dense(const at::Tensor& self);

} // namespace metalsim::mps
