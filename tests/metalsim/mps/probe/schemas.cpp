#include <torch/library.h>

TORCH_LIBRARY(metalsim_probe, module) {
  module.def("scale(Tensor x, float factor, float? bias=None) -> Tensor");
  module.def("scale_own_encoder(Tensor x, float factor) -> Tensor");
  module.def("scale_command_buffer(Tensor x, float factor) -> Tensor");
  module.def("row_sum(Tensor x) -> Tensor");
  module.def("completed_handlers(Tensor x) -> int");
  module.def("fault(Tensor x, str kernel) -> Tensor");
  module.def("mistake(Tensor x, str what) -> Tensor");
  module.def("mistakes(Tensor x) -> str[]");
  module.def("read_too_early(Tensor x) -> Tensor");
  module.def("reuse_too_early(Tensor x) -> Tensor");
  module.def("dereference(Tensor x) -> Tensor");
  module.def("overrun(Tensor x) -> Tensor");
}
