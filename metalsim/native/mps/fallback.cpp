#include "fallback.h"

#include "host_tensors.h"
#include "random.h"
#include "stream_control.h"
#include "strict_operators.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/enum_tag.h>

#include <array>
#include <optional>
#include <string_view>

namespace metalsim::mps {

namespace {

using c10::IValue;

/// Operators that take tensors of the CPU beside the device's, on a Mac as well.
bool may_mix_devices(std::string_view name) {
  constexpr std::array names = {"aten::index",
                                "aten::index_put",
                                "aten::index_put_",
                                "aten::_index_put_impl_",
                                "aten::_unsafe_index",
                                "aten::_unsafe_index_put",
                                "aten::tensor_split",
                                "aten::_pack_padded_sequence",
                                "aten::_pad_packed_sequence",
                                "aten::_pack_padded_sequence_backward"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Puts CPU arguments in the place of the device's.
class Arguments {
public:
  Arguments(const c10::OperatorHandle& operator_handle, HostTensors& tensors)
      : operator_(operator_handle), tensors_(tensors) {}

  void to_host(torch::jit::Stack& stack) {
    const auto& arguments = operator_.schema().arguments();
    const size_t first = stack.size() - arguments.size();
    for (size_t i = 0; i < arguments.size(); i++) {
      convert(stack[first + i], arguments[i]);
    }
    if (!tensors_.is_empty() && stray_.has_value() && !may_mix_devices(operator_.schema().name())) {
      TORCH_CHECK(false,
                  "Expected all tensors to be on the same device, but found at least two devices, mps:0 and cpu! (when "
                  "checking argument for argument ",
                  *stray_, " in method ", operator_.schema().name(), ")");
    }
  }

  bool asks_for_device() const { return !tensors_.is_empty() || names_device_; }
  bool has_generator() const { return has_generator_; }

private:
  at::Tensor to_host(const at::Tensor& tensor, const std::string& name) {
    const bool is_stray = tensor.defined() && tensor.device().is_cpu() && tensor.dim() != 0;
    if (is_stray && !stray_.has_value()) {
      stray_ = name;
    }
    return tensors_.to_host(tensor);
  }

  void convert(IValue& value, const c10::Argument& argument) {
    if (value.isTensor()) {
      value = to_host(value.toTensor(), argument.name());
    } else if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) {
        list.push_back(to_host(tensor, argument.name()));
      }
      value = list;
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor.has_value() ? std::optional(to_host(*tensor, argument.name())) : std::nullopt);
      }
      value = list;
    } else if (value.isDevice() && value.toDevice().is_mps()) {
      names_device_ = true;
      value = at::Device(at::kCPU);
    } else if (value.isGenerator() || is_missing_generator(value, argument)) {
      convert_generator(value);
    }
  }

  static bool is_missing_generator(const IValue& value, const c10::Argument& argument) {
    static const c10::TypePtr optional_generator = c10::OptionalType::create(c10::GeneratorType::get());
    return value.isNone() && *argument.type() == *optional_generator;
  }

  void convert_generator(IValue& value) {
    has_generator_ = true;
    if (value.isNone()) {
      value = host_generator(std::nullopt);
    } else {
      // Refuses a generator of another device, in torch's words.
      value = host_generator(value.toGenerator());
    }
  }

  const c10::OperatorHandle& operator_;
  HostTensors& tensors_;
  std::optional<std::string> stray_; ///< the first argument that is a CPU tensor and no scalar
  bool names_device_ = false;
  bool has_generator_ = false;
};

/// Lets an operator that takes no generator (native_dropout) draw from the device's random numbers: while this lives,
/// the CPU's default generator is one of them.
class SeededDefaultGenerator {
public:
  SeededDefaultGenerator() : generator_(at::globalContext().defaultGenerator(at::kCPU)) {
    const at::Generator drawn = host_generator(std::nullopt);
    const std::lock_guard lock(generator_.mutex());
    state_ = generator_.get_state();
    generator_.set_current_seed(drawn.current_seed());
  }
  ~SeededDefaultGenerator() {
    const std::lock_guard lock(generator_.mutex());
    generator_.set_state(state_);
  }
  SeededDefaultGenerator(const SeededDefaultGenerator&) = delete;
  SeededDefaultGenerator& operator=(const SeededDefaultGenerator&) = delete;

private:
  at::Generator generator_;
  at::Tensor state_;
};

void results_to_device(torch::jit::Stack& stack, size_t count, HostTensors& tensors) {
  for (size_t i = stack.size() - count; i < stack.size(); i++) {
    IValue& value = stack[i];
    if (value.isTensor()) {
      value = tensors.to_device(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) {
        list.push_back(tensors.to_device(tensor));
      }
      value = list;
    }
  }
}

} // namespace

void run_on_host(const c10::OperatorHandle& operator_handle, c10::DispatchKeySet, torch::jit::Stack* stack) {
  require_kernel(operator_handle.operator_name());
  synchronize();
  HostTensors tensors;
  Arguments arguments(operator_handle, tensors);
  arguments.to_host(*stack);
  std::optional<SeededDefaultGenerator> seeded;
  if (!arguments.has_generator() && operator_handle.hasTag(at::Tag::nondeterministic_seeded)) {
    seeded.emplace();
  }
  operator_handle.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  tensors.update_arguments();
  if (arguments.asks_for_device()) {
    results_to_device(*stack, operator_handle.schema().returns().size(), tensors);
  }
}

} // namespace metalsim::mps
