// What metalsim's Python side of the device calls: operators and classes of torch rather than a Python module, so that
// this library needs no Python and torch converts the errors.
#include "host_memory.h"

#include <ATen/EmptyTensor.h>
#include <ATen/mps/MPSAllocatorInterface.h>
#include <ATen/mps/MPSDevice.h>
#include <ATen/mps/MPSStream.h>
#include <ATen/native/mps/MetalShaderLibrary.h>
#include <torch/library.h>

namespace metalsim::mps {

namespace {

using at::native::mps::DynamicMetalShaderLibrary;
using at::native::mps::MetalKernelFunction;

/// Element types of Tensor arguments: bytes that Python has packed come as a uint8 vector of the CPU.
bool is_packed(const at::Tensor& argument) {
  return argument.device().is_cpu() && argument.scalar_type() == at::kByte && argument.dim() == 1;
}

std::vector<uint64_t> lengths_of(const std::vector<int64_t>& lengths) {
  TORCH_CHECK_VALUE(std::all_of(lengths.begin(), lengths.end(), [](int64_t length) { return length >= 0; }),
                    "the numbers of threads must not be negative: got ", c10::IntArrayRef(lengths));
  return {lengths.begin(), lengths.end()};
}

class ShaderKernel final : public torch::CustomClassHolder {
public:
  ShaderKernel(c10::intrusive_ptr<torch::CustomClassHolder> library, std::shared_ptr<MetalKernelFunction> kernel)
      : library_(std::move(library)), kernel_(std::move(kernel)) {}

  /// Encodes a dispatch. `error_buffer_index` is negative for none.
  void run(const std::vector<at::Tensor>& arguments, const std::vector<int64_t>& threads,
           const std::vector<int64_t>& group_size, int64_t error_buffer_index) {
    const std::vector<uint64_t> grid = lengths_of(threads), group = lengths_of(group_size);
    kernel_->runCommandBlock([&] {
      kernel_->startEncoding();
      for (unsigned index = 0; index < arguments.size(); index++) {
        bind(index, arguments[index]);
      }
      if (error_buffer_index >= 0) {
        kernel_->setErrorBufferIndex(static_cast<unsigned>(error_buffer_index));
      }
      if (grid.size() == 1) {
        kernel_->dispatch(grid[0], group.empty() ? std::nullopt : std::optional(group[0]));
      } else if (group.empty()) {
        kernel_->dispatch(grid);
      } else {
        kernel_->dispatch(grid, c10::OptionalArrayRef<uint64_t>(group));
      }
    });
  }

  int64_t max_threads_per_threadgroup() const { return static_cast<int64_t>(kernel_->getMaxThreadsPerThreadgroup()); }
  int64_t thread_execution_width() const { return static_cast<int64_t>(kernel_->getThreadExecutionWidth()); }
  int64_t static_thread_group_memory_length() const {
    return static_cast<int64_t>(kernel_->getStaticThreadGroupMemoryLength());
  }

private:
  void bind(unsigned index, const at::Tensor& argument) {
    if (is_packed(argument)) {
      kernel_->setArg(index, argument.const_data_ptr(), argument.nbytes());
    } else {
      kernel_->setArg(index, argument);
    }
  }

  c10::intrusive_ptr<torch::CustomClassHolder> library_; ///< kept: a kernel may outlive the caller's library
  std::shared_ptr<MetalKernelFunction> kernel_;
};

class ShaderLibrary final : public torch::CustomClassHolder {
public:
  explicit ShaderLibrary(const std::string& source) : library_(source) {}

  std::vector<std::string> names() { return library_.getFunctionNames(); }
  c10::intrusive_ptr<ShaderKernel> kernel(const std::string& name) {
    auto self = c10::intrusive_ptr<torch::CustomClassHolder>::unsafe_reclaim_from_nonowning(this);
    return c10::make_intrusive<ShaderKernel>(std::move(self), library_.getKernelFunction(name));
  }

private:
  DynamicMetalShaderLibrary library_;
};

/// A CPU tensor over the memory of the whole storage.
at::Tensor host_alias_tensor(const at::Tensor& tensor) {
  const at::Storage alias = at::mps::getIMPSAllocator()->getHostAliasStorage(tensor.storage());
  at::Tensor host = at::detail::make_tensor<c10::TensorImpl>(
      at::Storage(alias), c10::DispatchKeySet(c10::DispatchKey::CPU), caffe2::TypeMeta::Make<uint8_t>());
  host.unsafeGetTensorImpl()->set_sizes_contiguous({static_cast<int64_t>(alias.nbytes())});
  return host;
}

void resize_tensor_storage(const at::Tensor& tensor, int64_t bytes) {
  TORCH_CHECK(bytes >= 0, "UntypedStorage.resize_: got ", bytes, " bytes; the size must not be negative");
  resize_storage(*tensor.storage().unsafeGetStorageImpl(), static_cast<size_t>(bytes));
}

int64_t gpu_address(const at::Tensor& tensor) {
  return reinterpret_cast<int64_t>(at::native::mps::get_tensor_gpu_address(tensor));
}

} // namespace

TORCH_LIBRARY(metalsim, library) {
  library.class_<ShaderKernel>("ShaderKernel")
      .def("run", &ShaderKernel::run)
      .def("max_threads_per_threadgroup", &ShaderKernel::max_threads_per_threadgroup)
      .def("thread_execution_width", &ShaderKernel::thread_execution_width)
      .def("static_thread_group_memory_length", &ShaderKernel::static_thread_group_memory_length);
  library.class_<ShaderLibrary>("ShaderLibrary")
      .def(torch::init<std::string>())
      .def("names", &ShaderLibrary::names)
      .def("kernel", &ShaderLibrary::kernel);
  library.def("host_alias(Tensor tensor) -> Tensor", host_alias_tensor);
  library.def("resize_storage(Tensor tensor, int bytes) -> ()", resize_tensor_storage);
  library.def("gpu_address(Tensor tensor) -> int", gpu_address);
  library.def("device_name() -> str", [] { return at::mps::MPSDevice::getInstance()->getName(); });
  library.def("device_core_count() -> int",
              [] { return static_cast<int64_t>(at::mps::MPSDevice::getInstance()->getCoreCount()); });
}

} // namespace metalsim::mps
