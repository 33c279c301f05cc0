#include "host_memory.h"

#include "../metal/device_memory.h"
#include "stream_control.h"

#include <c10/core/StorageImpl.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>

namespace metalsim::mps {

void* host_address(const c10::Storage& storage) {
  return metalsim_buffer_contents(const_cast<void*>(storage.data()));
}

c10::Storage host_alias(const c10::Storage& storage) {
  TORCH_CHECK(storage.device().is_mps(), "metalsim: the storage is on ", storage.device(),
              ", and only one on mps has a host alias");
  auto* const owner = new c10::Storage(storage);
  const auto release = [](void* context) { delete static_cast<c10::Storage*>(context); };
  c10::DataPtr data(host_address(storage), owner, release, c10::Device(c10::kCPU));
  // Resizable, with the CPU's allocator: kernels resize tensors that are given for their results.
  return c10::Storage(c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), storage.nbytes(),
                                                            std::move(data), c10::GetAllocator(c10::kCPU),
                                                            /*resizable=*/true));
}

void resize_storage(c10::StorageImpl& storage, size_t bytes) {
  TORCH_CHECK(storage.resizable(), "Trying to resize storage that is not resizable");
  synchronize();
  c10::DataPtr data = storage.allocator()->allocate(bytes);
  const size_t kept = std::min(bytes, storage.nbytes());
  if (kept != 0) {
    std::memcpy(metalsim_buffer_contents(data.get()), metalsim_buffer_contents(storage.mutable_data()), kept);
  }
  storage.set_data_ptr_noswap(std::move(data));
  storage.set_nbytes(bytes);
}

} // namespace metalsim::mps
