// What the environment says about the software Metal. Read once, at the first use.
#pragma once

#include <cstdint>

namespace metalsim::metal {

/// METALSIM_EXECUTION: when the commands of a command buffer run.
enum class Execution {
  deferred, ///< when somebody waits for the command buffer, or for a later one of its queue
  commit,   ///< inside of -commit
  thread,   ///< on a thread of the queue, some time after -commit
  eager,    ///< when they are encoded
};

/// METALSIM_VALIDATION: what happens to host code that breaks a rule of Metal's.
enum class Validation {
  raise, ///< std::runtime_error from the offending call
  abort, ///< the process ends, as with Metal's validation layer
};

struct Settings {
  Execution execution = Execution::deferred;
  Validation validation = Validation::raise;
  uint32_t delay_microseconds = 0; ///< METALSIM_EXECUTION_DELAY_US: thread mode's pause before each command buffer
  bool strict_bindings = false;    ///< METALSIM_STRICT_BINDINGS
  uint64_t max_products = 0;       ///< METALSIM_MAX_PRODUCTS: of a command buffer; 0 = as many as it wants
};

/// Throws std::runtime_error for a value that is not known.
const Settings& settings();

} // namespace metalsim::metal
