// A compiler of "Metal source" that knows some kernels by name: C++ functions that run on one thread of a grid.
//
// Source is a list of kernel names; a word that is no name of a kernel does not compile.
#pragma once

#include "../../../../metalsim/native/metal/compiler.h"

#include <map>
#include <mutex>

/// Parameters of the kernel `scale`, a `constant T&`.
struct ScaleParameters {
  float factor;
  float offset;
};

class TestCompiler : public metalsim::metal::Compiler {
public:
  uint64_t compile(const std::string& source, const Macros& macros, const std::string& language_version) override;
  void release(uint64_t library) noexcept override;
  std::vector<std::string> kernel_names(uint64_t library) override;
  std::vector<metalsim::metal::FunctionConstant> function_constants(uint64_t library) override;
  metalsim::metal::CompiledKernel specialise(uint64_t library, const std::string& kernel,
                                             const std::vector<metalsim::metal::ConstantValue>& constants) override;
  bool observes() const noexcept override { return is_observing; }
  uint64_t run_observed(const metalsim::metal::CompiledKernel& kernel, const metalsim::Request& request,
                        bool counts_products) override;

  // What the last calls got.
  Macros macros;
  std::string language_version;
  std::vector<metalsim::metal::ConstantValue> constants;

  bool is_observing = false;
  int observed = 0;             ///< calls of run_observed
  std::string observed_finding; ///< what the next of them throws, if it is not empty
  uint64_t products = 0;        ///< that each of them has taken
  int live_libraries = 0;

private:
  std::mutex mutex_;
  std::map<uint64_t, std::vector<std::string>> libraries_;
  uint64_t last_token_ = 0;
};

/// The process's compiler; the first call installs it.
TestCompiler& test_compiler();
