// Where the kernels of an MTLLibrary come from: metalsim's compiler, which is Python, seen from the software Metal.
//
// native/bridge implements this with Python; the software Metal itself knows neither Python nor torch.
#pragma once

#include "../runtime/request.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#define METALSIM_PUBLIC __attribute__((visibility("default")))

namespace metalsim::metal {

/// Metal source, or a kernel with its constants, that does not compile; becomes an NSError with this text.
class METALSIM_PUBLIC CompilationFailed : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

struct FunctionConstant {
  std::string name;
  uint32_t index;
  std::string type; ///< as the source has it: "bool", "uint", "float"
};

/// The value of a function constant, by name or, if that is empty, by index.
struct ConstantValue {
  std::string name;
  uint32_t index;
  enum class Kind : uint32_t { boolean, integer, floating } kind;
  int64_t integer; ///< of the first two kinds
  double floating;
};

/// A kernel with values for its constants, compiled and loaded.
struct CompiledKernel {
  const abi::Kernel* kernel; ///< lives as long as the process
  uint64_t token;            ///< the compiler's own name for it
};

class METALSIM_PUBLIC Compiler {
public:
  virtual ~Compiler();

  using Macros = std::vector<std::pair<std::string, std::string>>;
  /// Returns a token of the library. Throws CompilationFailed.
  virtual uint64_t compile(const std::string& source, const Macros& macros, const std::string& language_version) = 0;
  virtual void release(uint64_t library) noexcept = 0;
  virtual std::vector<std::string> kernel_names(uint64_t library) = 0;
  virtual std::vector<FunctionConstant> function_constants(uint64_t library) = 0;
  /// Throws CompilationFailed, also for a constant that the kernel uses and that has no value.
  virtual CompiledKernel specialise(uint64_t library, const std::string& kernel,
                                    const std::vector<ConstantValue>& constants) = 0;

  /// Whether dispatches are to be checked or counted now: then each runs when it is encoded, by run_observed.
  virtual bool observes() const noexcept = 0;
  /// Runs a dispatch under the checks that are on. Throws what they found, to the operator that encoded the dispatch.
  /// Of the request, `workers`, `mode`, `schedule` and `seed` are not read. Returns how many 8x8 matrix products the
  /// dispatch took if `counts_products`, which needs no other observation to be on; else 0.
  virtual uint64_t run_observed(const CompiledKernel& kernel, const Request& request, bool counts_products) = 0;
};

/// The process's compiler. `compiler()` throws std::runtime_error before one is set.
METALSIM_PUBLIC Compiler& compiler();
METALSIM_PUBLIC void set_compiler(Compiler* compiler);

/// The operator of torch that is running on this thread.
struct OperatorCall {
  uint64_t number = 0; ///< counts calls; 0 = none is known
  std::string name;    ///< "fused_attn::forward"
};
METALSIM_PUBLIC OperatorCall current_operator();
METALSIM_PUBLIC void set_operator_source(OperatorCall (*source)());

} // namespace metalsim::metal
