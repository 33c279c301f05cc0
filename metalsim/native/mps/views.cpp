#include "views.h"

#include "host_memory.h"

#include <ATen/EmptyTensor.h>
#include <ATen/mps/MPSDevice.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>

namespace metalsim::mps {

// ---- views ----------------------------------------------------------------------------------------------------------

at::Tensor aten_as_strided(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                           std::optional<c10::SymInt> storage_offset) {
  std::optional<int64_t> offset;
  if (storage_offset.has_value()) {
    offset = storage_offset->guard_int(__FILE__, __LINE__);
  }
  return at::native::as_strided_tensorimpl(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                           offset);
}

at::Tensor aten_view(const at::Tensor& self, c10::SymIntArrayRef size) {
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}

at::Tensor aten_reshape_alias(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return at::native::_reshape_alias(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

// ---- sizes and storages ---------------------------------------------------------------------------------------------

void grow_storage(c10::StorageImpl& storage, size_t bytes) {
  if (bytes > storage.nbytes()) {
    resize_storage(storage, bytes);
  }
}

const at::Tensor& aten_resize_(const at::Tensor& self, c10::SymIntArrayRef symbolic_size,
                               std::optional<at::MemoryFormat> memory_format) {
  const at::IntArrayRef size = C10_AS_INTARRAYREF_SLOW(symbolic_size);
  c10::TensorImpl& tensor = *self.unsafeGetTensorImpl();
  if (self.sizes() != size) {
    const size_t bytes =
        at::detail::computeStorageNbytesContiguous(size, tensor.dtype().itemsize(), tensor.storage_offset());
    grow_storage(*tensor.unsafe_storage().unsafeGetStorageImpl(), bytes);
    tensor.set_sizes_contiguous(size);
  }
  if (memory_format.has_value() && *memory_format != at::MemoryFormat::Preserve) {
    tensor.empty_tensor_restride(*memory_format);
  }
  return self;
}

namespace {

at::Tensor& set_storage(at::Tensor& self, const at::Storage& source, int64_t offset, at::IntArrayRef size,
                        at::OptionalIntArrayRef stride) {
  TORCH_CHECK(source.device().is_mps(), "set_: the tensor is on mps and the storage on ", source.device(),
              "; they must be on the same device");
  TORCH_CHECK(offset >= 0, "Tensor: invalid storage offset ", offset);
  c10::TensorImpl& tensor = *self.unsafeGetTensorImpl();
  tensor.set_storage_keep_dtype(source);
  tensor.set_storage_offset(offset);
  if (stride.has_value()) {
    tensor.set_sizes_and_strides(size, *stride);
  } else {
    tensor.set_sizes_contiguous(size);
  }
  const size_t bytes =
      at::detail::computeStorageNbytes(tensor.sizes(), tensor.strides(), tensor.dtype().itemsize(), offset);
  grow_storage(*tensor.unsafe_storage().unsafeGetStorageImpl(), bytes);
  return self;
}

} // namespace

at::Tensor& aten_set_storage_and_strides_(at::Tensor& self, at::Storage source, c10::SymInt storage_offset,
                                          c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  const bool has_strides = stride.data() != nullptr && stride.size() == size.size();
  at::OptionalIntArrayRef strides;
  if (has_strides) {
    strides = C10_AS_INTARRAYREF_SLOW(stride);
  }
  const int64_t offset = storage_offset.guard_int(__FILE__, __LINE__);
  return set_storage(self, source, offset, C10_AS_INTARRAYREF_SLOW(size), strides);
}

at::Tensor& aten_set_storage_(at::Tensor& self, at::Storage source) {
  const auto elements = static_cast<int64_t>(source.nbytes() / self.dtype().itemsize());
  return set_storage(self, source, 0, {elements}, std::nullopt);
}

at::Tensor& aten_set_tensor_(at::Tensor& self, const at::Tensor& source) {
  if (!self.is_same(source)) {
    set_storage(self, source.storage(), source.storage_offset(), source.sizes(), source.strides());
  }
  return self;
}

at::Tensor& aten_set_(at::Tensor& self) {
  const at::Storage empty(at::Storage::use_byte_size_t(), 0, at::mps::GetMPSAllocator(), /*resizable=*/true);
  return set_storage(self, empty, 0, {0}, std::nullopt);
}

} // namespace metalsim::mps
