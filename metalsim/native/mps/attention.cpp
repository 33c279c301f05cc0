#include "attention.h"

#include "host_tensors.h"
#include "stream_control.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_attention_math_for_mps_ops.h>
#include <ATen/ops/_scaled_dot_product_attention_math_ops.h>
#include <ATen/ops/scalar_tensor_ops.h>
#include <ATen/ops/where_ops.h>

#include <limits>

namespace metalsim::mps {

namespace {

void check_arguments(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const std::optional<at::Tensor>& mask, bool is_causal) {
  TORCH_CHECK(query.dtype() == key.dtype() && query.dtype() == value.dtype(),
              "Expected query, key, and value to have the same dtype, but got query.dtype: ", query.dtype(),
              " key.dtype: ", key.dtype(), " and value.dtype: ", value.dtype(), " instead.");
  TORCH_CHECK(query.device() == key.device() && query.device() == value.device(),
              "Expected query, key, and value to have the same device type, but got query.device: ", query.device(),
              " key.device: ", key.device(), " and value.device: ", value.device(), " instead.");
  TORCH_CHECK(query.dim() >= 2 && key.dim() >= 2 && value.dim() >= 2,
              "Expected query, key, and value to all be at least 2 dimensional, but got query.dim: ", query.dim(),
              ", key.dim: ", key.dim(), " and value.dim: ", value.dim(), " instead.");
  TORCH_CHECK(!(is_causal && mask.has_value()),
              "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True");
  if (mask.has_value()) {
    TORCH_CHECK(mask->dtype() == at::kBool || mask->dtype() == query.dtype() || mask->dtype() == at::kFloat,
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ",
                mask->dtype(), " and  query.dtype: ", query.dtype(), " instead.");
  }
}

/// What is added to the scores: 0 where the mask is true.
at::Tensor additive(const at::Tensor& mask, at::ScalarType type) {
  if (mask.scalar_type() != at::kBool) {
    return mask;
  }
  const auto scalar = [&mask, type](double value) {
    return at::_ops::scalar_tensor::call(value, type, mask.layout(), mask.device(), std::nullopt);
  };
  return at::_ops::where_self::call(mask, scalar(0), scalar(-std::numeric_limits<double>::infinity()));
}

bool needs_gradient(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                    const std::optional<at::Tensor>& mask) {
  const bool any_requires = query.requires_grad() || key.requires_grad() || value.requires_grad() ||
                            (mask.has_value() && mask->requires_grad());
  return at::GradMode::is_enabled() && any_requires;
}

} // namespace

at::Tensor aten_scaled_dot_product_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                             const std::optional<at::Tensor>& mask, double dropout, bool is_causal,
                                             std::optional<double> scale, bool enable_gqa) {
  check_arguments(query, key, value, mask, is_causal);
  std::optional<at::Tensor> added = mask;
  if (mask.has_value()) {
    added = additive(*mask, query.scalar_type());
  }
  if (dropout == 0 && !needs_gradient(query, key, value, added)) {
    return std::get<0>(at::_ops::_scaled_dot_product_attention_math_for_mps::call(
        query, key, value, added, dropout, is_causal, std::nullopt, scale, enable_gqa));
  }
  return std::get<0>(at::_ops::_scaled_dot_product_attention_math::call(query, key, value, added, dropout, is_causal,
                                                                        std::nullopt, scale, enable_gqa));
}

std::tuple<at::Tensor, at::Tensor>
aten_scaled_dot_product_attention_math_for_mps(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                               const std::optional<at::Tensor>& mask, double dropout, bool is_causal,
                                               const std::optional<at::Tensor>& dropout_mask,
                                               std::optional<double> scale, bool enable_gqa) {
  synchronize();
  HostTensors tensors;
  const auto to_host = [&tensors](const std::optional<at::Tensor>& tensor) {
    return tensor.has_value() ? std::optional(tensors.to_host(*tensor)) : std::nullopt;
  };
  const auto [output, weights] = at::_ops::_scaled_dot_product_attention_math::call(
      tensors.to_host(query), tensors.to_host(key), tensors.to_host(value), to_host(mask), dropout, is_causal,
      to_host(dropout_mask), scale, enable_gqa);
  return {tensors.to_device(output), tensors.to_device(weights)};
}

} // namespace metalsim::mps
