// The Python module `_bridge`: metalsim's compiler and checks, which are Python, for the software Metal, which is not.
#include "../metal/compiler.h"
#include "../metal/described_mac.h"
#include "../metal/device_memory.h"

#include <atomic>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace metalsim::metal {

namespace {

py::tuple triple(const uint32_t (&sizes)[3]) {
  return py::make_tuple(sizes[0], sizes[1], sizes[2]);
}

/// What a dispatch binds: tuples of index, address of the whole memory, its size, and offset in it.
py::list bindings_of(const Request& request) {
  py::list bindings;
  for (uint32_t index = 0; index < abi::kMaxBindings; ++index) {
    const Binding& binding = request.buffers[index];
    if (binding.address != nullptr) {
      const auto memory = reinterpret_cast<uintptr_t>(binding.memory);
      const auto offset = reinterpret_cast<uintptr_t>(binding.address) - memory;
      bindings.append(py::make_tuple(index, memory, binding.memory_size, offset));
    }
  }
  return bindings;
}

py::object python_value(const ConstantValue& constant) {
  switch (constant.kind) {
  case ConstantValue::Kind::boolean:
    return py::bool_(constant.integer != 0);
  case ConstantValue::Kind::integer:
    return py::int_(constant.integer);
  case ConstantValue::Kind::floating:
    return py::float_(constant.floating);
  }
  throw std::logic_error("a function constant of an unknown kind");
}

py::dict python_constants(const std::vector<ConstantValue>& constants) {
  py::dict values;
  for (const ConstantValue& constant : constants) {
    const py::object key = constant.name.empty() ? py::object(py::int_(constant.index)) : py::str(constant.name);
    values[key] = python_value(constant);
  }
  return values;
}

/// Calls the methods of a metalsim.mps.bridge.CompilerAdapter. They report source that does not compile by returning a
/// string; a Python exception is one that the user is to see as it is, and travels through Metal to torch's operator.
class PythonCompiler final : public Compiler {
public:
  explicit PythonCompiler(py::object adapter) : adapter_(std::move(adapter)) {}

  uint64_t compile(const std::string& source, const Macros& macros, const std::string& language_version) override {
    const py::gil_scoped_acquire gil;
    return or_failure(adapter_.attr("compile")(source, macros, language_version)).cast<uint64_t>();
  }

  void release(uint64_t library) noexcept override {
    // An autorelease pool may be drained after the interpreter has gone.
    if (Py_IsInitialized() == 0) {
      return;
    }
    const py::gil_scoped_acquire gil;
    try {
      adapter_.attr("release")(library);
    } catch (py::error_already_set& error) {
      error.discard_as_unraisable("metalsim: releasing a Metal library");
    }
  }

  std::vector<std::string> kernel_names(uint64_t library) override {
    const py::gil_scoped_acquire gil;
    return adapter_.attr("kernel_names")(library).cast<std::vector<std::string>>();
  }

  std::vector<FunctionConstant> function_constants(uint64_t library) override {
    const py::gil_scoped_acquire gil;
    std::vector<FunctionConstant> constants;
    for (const py::handle& entry : adapter_.attr("function_constants")(library)) {
      const auto [name, index, type] = entry.cast<std::tuple<std::string, uint32_t, std::string>>();
      constants.push_back({name, index, type});
    }
    return constants;
  }

  CompiledKernel specialise(uint64_t library, const std::string& kernel,
                            const std::vector<ConstantValue>& constants) override {
    const py::gil_scoped_acquire gil;
    const py::object answer = or_failure(adapter_.attr("specialise")(library, kernel, python_constants(constants)));
    const auto [address, token] = answer.cast<std::pair<uintptr_t, uint64_t>>();
    return {reinterpret_cast<const abi::Kernel*>(address), token};
  }

  bool observes() const noexcept override { return observes_.load(std::memory_order_relaxed); }
  void set_observes(bool observes) { observes_ = observes; }

  uint64_t run_observed(const CompiledKernel& kernel, const Request& request, bool counts_products) override {
    const OperatorCall call = current_operator();
    const py::gil_scoped_acquire gil;
    py::list threadgroup_memory;
    for (const uint64_t length : request.threadgroup_memory) {
      threadgroup_memory.append(length);
    }
    const py::object products = adapter_.attr("run_observed")(
        kernel.token, triple(request.threads_per_grid), triple(request.threads_per_threadgroup), bindings_of(request),
        threadgroup_memory, py::make_tuple(call.number, call.name), counts_products);
    return products.cast<uint64_t>();
  }

private:
  static py::object or_failure(py::object answer) {
    if (py::isinstance<py::str>(answer)) {
      throw CompilationFailed(answer.cast<std::string>());
    }
    return answer;
  }

  py::object adapter_;
  std::atomic<bool> observes_{false};
};

/// Lives as long as the process: Metal may use it until the very end.
PythonCompiler* the_compiler = nullptr;

void set_adapter(py::object adapter) {
  the_compiler = new PythonCompiler(std::move(adapter));
  set_compiler(the_compiler);
}

py::dict statistics() {
  const MetalsimStatistics now = metalsim_statistics();
  py::dict values;
  values["dispatches"] = now.dispatches;
  values["command_buffers"] = now.command_buffers;
  values["completed_command_buffers"] = now.completed_command_buffers;
  values["live_buffers"] = now.live_buffers;
  values["live_bytes"] = now.live_bytes;
  return values;
}

py::tuple as_tuple(const DescribedMac& mac) {
  return py::make_tuple(mac.gpu, mac.family, mac.cores, mac.macos_major, mac.macos_minor);
}

} // namespace

PYBIND11_MODULE(_bridge, module) {
  module.def("set_compiler", &set_adapter, "Make a CompilerAdapter the compiler of all MTLLibraries.");
  module.def(
      "set_observes", [](bool observes) { the_compiler->set_observes(observes); },
      "Whether dispatches are to run at once, through CompilerAdapter.run_observed.");
  module.def("statistics", &statistics, "What the software Metal has done so far.");
  module.def(
      "described_mac", [] { return as_tuple(described_mac()); }, "GPU, family, cores, macOS's two version numbers.");
  module.def(
      "mac_with", [](const std::string& gpu, const std::string& macos) { return as_tuple(mac_with(gpu, macos)); },
      "The same of a Mac of the table; ValueError for an unknown one.");
  module.def(
      "describe_mac",
      [](const std::string& gpu, int family, unsigned cores, int macos_major, int macos_minor) {
        describe_mac({gpu, family, cores, macos_major, macos_minor});
      },
      "Be that Mac from now on.");
}

} // namespace metalsim::metal
