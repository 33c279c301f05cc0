// Convolution: torch takes a device that it was not built for to convolution_overrideable.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <tuple>

namespace metalsim::mps {

at::Tensor aten_convolution_overrideable(const at::Tensor& input, const at::Tensor& weight,
                                         const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
                                         c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed,
                                         c10::SymIntArrayRef output_padding, c10::SymInt groups);

std::tuple<at::Tensor, at::Tensor, at::Tensor> aten_convolution_backward_overrideable(
    const at::Tensor& grad_output, const at::Tensor& input, const at::Tensor& weight, c10::SymIntArrayRef stride,
    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed, c10::SymIntArrayRef output_padding,
    c10::SymInt groups, std::array<bool, 3> output_mask);

} // namespace metalsim::mps
