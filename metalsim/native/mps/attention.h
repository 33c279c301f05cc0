// Scaled dot-product attention: kernels on the MPS and AutogradMPS keys.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace metalsim::mps {

/// torch's own asks a stub for the best backend, and on Linux that stub has no entry for mps. On a Mac the answer is
/// always the mathematical definition.
at::Tensor aten_scaled_dot_product_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                             const std::optional<at::Tensor>& mask, double dropout, bool is_causal,
                                             std::optional<double> scale, bool enable_gqa);

/// Returns the output and the attention weights. An extension may have its own kernel for this operator.
std::tuple<at::Tensor, at::Tensor>
aten_scaled_dot_product_attention_math_for_mps(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                               const std::optional<at::Tensor>& mask, double dropout, bool is_causal,
                                               const std::optional<at::Tensor>& dropout_mask,
                                               std::optional<double> scale, bool enable_gqa);

} // namespace metalsim::mps
