// The kernels on torch's MPS keys. torch aborts the process at load if a signature here is not the operator's.
#include "attention.h"
#include "convolution.h"
#include "copies.h"
#include "device_tensors.h"
#include "fallback.h"
#include "views.h"

#include <torch/library.h>

namespace metalsim::mps {

TORCH_LIBRARY_IMPL(aten, MPS, library) {
  library.impl("empty.memory_format", TORCH_FN(aten_empty));
  library.impl("empty_strided", TORCH_FN(aten_empty_strided));

  library.impl("as_strided", TORCH_FN(aten_as_strided));
  library.impl("view", TORCH_FN(aten_view));
  library.impl("_reshape_alias", TORCH_FN(aten_reshape_alias));
  library.impl("resize_", TORCH_FN(aten_resize_));
  library.impl("set_.source_Storage", TORCH_FN(aten_set_storage_));
  library.impl("set_.source_Storage_storage_offset", TORCH_FN(aten_set_storage_and_strides_));
  library.impl("set_.source_Tensor", TORCH_FN(aten_set_tensor_));
  library.impl("set_", TORCH_FN(aten_set_));

  library.impl("copy_", TORCH_FN(aten_copy_));
  library.impl("_copy_from", TORCH_FN(aten_copy_from));
  library.impl("_copy_from_and_resize", TORCH_FN(aten_copy_from_and_resize));
  library.impl("_local_scalar_dense", TORCH_FN(aten_local_scalar_dense));

  library.impl("scaled_dot_product_attention", TORCH_FN(aten_scaled_dot_product_attention));
  library.impl("_scaled_dot_product_attention_math_for_mps", TORCH_FN(aten_scaled_dot_product_attention_math_for_mps));
  library.impl("convolution_overrideable", TORCH_FN(aten_convolution_overrideable));
  library.impl("convolution_backward_overrideable", TORCH_FN(aten_convolution_backward_overrideable));
}

/// Operators that have a kernel on a Mac and on the CPU. Without one here torch would compose them of others, whose
/// results round at every step.
TORCH_LIBRARY_IMPL(aten, MPS, library) {
  for (const char* name : {"addr", "addr.out", "mish_backward", "native_group_norm", "native_layer_norm"}) {
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&run_on_host>());
  }
}

TORCH_LIBRARY_IMPL(aten, AutogradMPS, library) {
  library.impl("scaled_dot_product_attention", TORCH_FN(aten_scaled_dot_product_attention));
}

TORCH_LIBRARY_IMPL(_, MPS, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_host>());
}

} // namespace metalsim::mps
