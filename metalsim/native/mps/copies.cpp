#include "copies.h"

#include "../metal/device_memory.h"
#include "host_tensors.h"
#include "stream_control.h"

#include <ATen/native/mps/Copy.h>

#include <cstring>

namespace metalsim::mps {

at::Tensor& aten_copy_(at::Tensor& self, const at::Tensor& source, bool) {
  TORCH_CHECK(source.defined(), "copy_: the source is undefined");
  if (self.is_same(source)) {
    return self;
  }
  synchronize();
  HostTensors tensors;
  tensors.to_host(self).copy_(tensors.to_host(source));
  return self;
}

at::Tensor aten_copy_from(const at::Tensor& self, const at::Tensor& destination, bool non_blocking) {
  at::Tensor written = destination;
  return aten_copy_(written, self, non_blocking);
}

at::Tensor aten_copy_from_and_resize(const at::Tensor& self, const at::Tensor& destination) {
  if (self.sizes() != destination.sizes()) {
    destination.resize_(self.sizes());
  }
  return aten_copy_from(self, destination, false);
}

at::Scalar aten_local_scalar_dense(const at::Tensor& self) {
  synchronize();
  HostTensors tensors;
  return tensors.to_host(self).item();
}

} // namespace metalsim::mps

namespace at::native::mps {

METALSIM_PUBLIC Tensor& mps_copy_(Tensor& destination, const Tensor& source, bool non_blocking) {
  return metalsim::mps::aten_copy_(destination, source, non_blocking);
}

METALSIM_PUBLIC void copy_blit_mps(void* destination, const void* source, size_t size) {
  metalsim::mps::synchronize();
  std::memcpy(metalsim_buffer_contents(destination), metalsim_buffer_contents(const_cast<void*>(source)), size);
}

} // namespace at::native::mps
