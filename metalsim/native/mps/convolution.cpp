#include "convolution.h"

#include "host_tensors.h"
#include "stream_control.h"

#include <ATen/ops/convolution_backward_ops.h>
#include <ATen/ops/convolution_ops.h>

namespace metalsim::mps {

at::Tensor aten_convolution_overrideable(const at::Tensor& input, const at::Tensor& weight,
                                         const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
                                         c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed,
                                         c10::SymIntArrayRef output_padding, c10::SymInt groups) {
  synchronize();
  HostTensors tensors;
  std::optional<at::Tensor> host_bias;
  if (bias.has_value() && bias->defined()) {
    host_bias = tensors.to_host(*bias);
  }
  return tensors.to_device(at::_ops::convolution::call(tensors.to_host(input), tensors.to_host(weight), host_bias,
                                                       stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> aten_convolution_backward_overrideable(
    const at::Tensor& grad_output, const at::Tensor& input, const at::Tensor& weight, c10::SymIntArrayRef stride,
    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed, c10::SymIntArrayRef output_padding,
    c10::SymInt groups, std::array<bool, 3> output_mask) {
  synchronize();
  HostTensors tensors;
  const c10::SymInt bias_size = grad_output.sym_size(1);
  const auto [for_input, for_weight, for_bias] = at::_ops::convolution_backward::call(
      tensors.to_host(grad_output), tensors.to_host(input), tensors.to_host(weight), c10::SymIntArrayRef(bias_size),
      stride, padding, dilation, transposed, output_padding, groups, output_mask);
  return {tensors.to_device(for_input), tensors.to_device(for_weight), tensors.to_device(for_bias)};
}

} // namespace metalsim::mps
