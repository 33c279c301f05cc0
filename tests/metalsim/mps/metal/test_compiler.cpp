#include "test_compiler.h"

#include <sstream>

using namespace metalsim;
using metalsim::metal::CompilationFailed;
using metalsim::metal::CompiledKernel;

namespace {

uint32_t thread() {
  return metalsim_position()->thread_in_grid[0];
}

template <class T> T& buffer(const abi::Context* context, uint32_t index) {
  return *static_cast<T*>(context->buffers[index]);
}

/// x[i] += 1
void add_one(const abi::Context* context) {
  (&buffer<float>(context, 0))[thread()] += 1;
}

/// y[i] = x[i] * factor + offset
void scale(const abi::Context* context) {
  const auto& parameters = buffer<const ScaleParameters>(context, 2);
  const float x = (&buffer<const float>(context, 1))[thread()];
  (&buffer<float>(context, 0))[thread()] = x * parameters.factor + parameters.offset;
}

/// number = number * 10 + digit: shows the order of dispatches
void append_digit(const abi::Context* context) {
  auto& number = buffer<uint32_t>(context, 0);
  number = number * 10 + buffer<const uint32_t>(context, 1);
}

/// Of every thread: how many there are in its threadgroup, and in the grid.
void describe_grid(const abi::Context* context) {
  const abi::Position& position = *metalsim_position();
  const uint32_t* grid = position.threads_per_grid;
  const uint32_t* at = position.thread_in_grid;
  const uint32_t* group = position.threads_per_threadgroup;
  const uint32_t index = (at[2] * grid[1] + at[1]) * grid[0] + at[0];
  (&buffer<uint32_t>(context, 0))[index] = group[0] | group[1] << 8 | group[2] << 16;
}

/// Writes its threadgroup memory, of which thread i has word i, and reads it again.
void through_threadgroup_memory(const abi::Context* context) {
  uint32_t* const memory = static_cast<uint32_t*>(context->threadgroup_memory[0]);
  const uint32_t local = metalsim_position()->thread_index_in_threadgroup;
  memory[local] = thread() * 3;
  (&buffer<uint32_t>(context, 0))[thread()] = memory[local];
}

/// Reads byte 64, which buffers of up to 64 bytes do not have.
void overrun(const abi::Context* context) {
  volatile float* const x = &buffer<volatile float>(context, 0);
  x[0] = x[thread() + 16];
}

void nothing(const abi::Context*) {}

abi::Argument device(uint32_t index, const char* name, uint32_t size = 4) {
  return {abi::ArgumentKind::buffer, index, size, size, false, true, true, name};
}

abi::Argument constant(uint32_t index, const char* name, uint32_t size = 4) {
  return {abi::ArgumentKind::buffer, index, size, 4, false, false, true, name};
}

abi::Argument reference(uint32_t index, const char* name, uint32_t size) {
  return {abi::ArgumentKind::buffer, index, size, 4, true, false, true, name};
}

abi::Argument threadgroup(uint32_t index, const char* name) {
  return {abi::ArgumentKind::threadgroup_memory, index, 4, 4, false, true, true, name};
}

abi::Argument disabled(abi::Argument argument) {
  argument.is_enabled = false;
  return argument;
}

/// A kernel and what its ABI refers to.
struct Known {
  Known(void (*run)(const abi::Context*), std::vector<abi::Argument> list, uint32_t used, uint32_t bytes = 0,
        uint32_t max_threads = abi::kMaxThreads)
      : arguments(std::move(list)), used_buffers(used), threadgroup_bytes(bytes) {
    kernel = {nullptr,     run,           arguments.data(),  static_cast<uint32_t>(arguments.size()),
              max_threads, &used_buffers, &threadgroup_bytes};
  }

  std::vector<abi::Argument> arguments;
  uint32_t used_buffers, threadgroup_bytes;
  abi::Kernel kernel;
};

/// Kernels live as long as the process.
std::map<std::string, Known*> make_known() {
  std::map<std::string, Known*> known = {
      {"add_one", new Known(add_one, {device(0, "x")}, 1)},
      {"scale", new Known(scale, {device(0, "y"), constant(1, "x"), reference(2, "parameters", 8)}, 7)},
      {"append_digit", new Known(append_digit, {device(0, "number"), reference(1, "digit", 4)}, 3)},
      {"describe_grid", new Known(describe_grid, {device(0, "sizes")}, 1)},
      {"through_threadgroup_memory",
       new Known(through_threadgroup_memory, {device(0, "out"), threadgroup(0, "memory")}, 1)},
      {"overrun", new Known(overrun, {device(0, "x")}, 1)},
      {"aligned", new Known(nothing, {device(0, "vectors", 16)}, 1)},
      {"few_threads", new Known(nothing, {}, 0, 0, 64)},
      {"greedy", new Known(nothing, {}, 0, 33792)},
      {"half_greedy", new Known(nothing, {threadgroup(0, "memory")}, 0, 20000)},
      {"many", new Known(nothing, {device(0, "a"), constant(1, "b"), reference(2, "c", 8)}, 7)},
      {"leaves_out", new Known(nothing, {device(0, "unused"), disabled(device(1, "disabled"))}, 0)},
      {"needs_constants", new Known(nothing, {}, 0)},
  };
  for (auto& [name, kernel] : known) {
    kernel->kernel.name = name.c_str(); // of the map's node, which stays where it is
  }
  return known;
}

const std::map<std::string, Known*>& known_kernels() {
  static const auto* const known = new std::map<std::string, Known*>(make_known());
  return *known;
}

} // namespace

uint64_t TestCompiler::compile(const std::string& source, const Macros& given, const std::string& version) {
  const std::lock_guard<std::mutex> lock(mutex_);
  macros = given;
  language_version = version;
  std::vector<std::string> names;
  std::istringstream words(source);
  for (std::string word; words >> word;) {
    if (!known_kernels().contains(word)) {
      throw CompilationFailed("program_source:1:1: error: unknown type name '" + word + "'");
    }
    names.push_back(word);
  }
  libraries_[++last_token_] = names;
  ++live_libraries;
  return last_token_;
}

void TestCompiler::release(uint64_t library) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  live_libraries -= static_cast<int>(libraries_.erase(library));
}

std::vector<std::string> TestCompiler::kernel_names(uint64_t library) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return libraries_.at(library);
}

std::vector<metal::FunctionConstant> TestCompiler::function_constants(uint64_t) {
  return {{"head_dim", 0, "uint"}, {"is_causal", 3, "bool"}};
}

CompiledKernel TestCompiler::specialise(uint64_t, const std::string& name,
                                        const std::vector<metal::ConstantValue>& values) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (name == "needs_constants" && values.empty()) {
    throw CompilationFailed("kernel 'needs_constants': function constant 'head_dim' has no value");
  }
  constants = values;
  return {&known_kernels().at(name)->kernel, 7};
}

uint64_t TestCompiler::run_observed(const CompiledKernel& kernel, const Request& request, bool counts_products) {
  ++observed;
  if (!observed_finding.empty()) {
    throw std::runtime_error(std::exchange(observed_finding, ""));
  }
  Request plain = request;
  plain.kernel = kernel.kernel;
  plain.workers = 1;
  plain.mode = 0;
  plain.schedule = 0;
  metalsim_dispatch(&plain);
  return counts_products ? products : 0;
}

TestCompiler& test_compiler() {
  static TestCompiler* const compiler = [] {
    auto* const made = new TestCompiler;
    metal::set_compiler(made);
    return made;
  }();
  return *compiler;
}
