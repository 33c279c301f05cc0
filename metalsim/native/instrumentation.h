// What an instrumented kernel and the checker agree on, besides abi.h.
//
// The pass `metalsim-instrument` (native/instrument/) writes these structures into the kernel's library, field by
// field; the checker (native/checker/) reads them.
#pragma once

#include "abi.h"

namespace metalsim::instrumentation {

/// Flags of a site, besides abi::kStore and abi::kAtomic: a read-modify-write, which needs an initialised value.
inline constexpr uint32_t kModify = 4;

/// An address that the pass could not trace back to one buffer.
inline constexpr int32_t kNoBuffer = -1;

/// One instruction that accesses memory.
struct Site {
  const char* file; ///< of the innermost function that is not the shim's; null = not known
  const char*
      variable; ///< the threadgroup variable, by the name given to metalsim_threadgroup_variable; null = not known
  const char* caller_file; ///< where the kernel calls that function; null = the line is in the kernel itself
  uint32_t line;
  uint32_t caller_line;
  uint32_t flags;  ///< of abi::AccessFlags, and kModify
  int32_t buffer;  ///< n of the [[buffer(n)]] from which the address was computed, or kNoBuffer
  uint32_t number; ///< of the site in its library, from 0
};

/// What the library exports under kLibrarySymbol: how often each basic block ran, and what it consists of.
struct Library {
  uint32_t block_count;
  uint32_t class_count;
  const char* const*
      class_names;            ///< of operations: a key of counts.Counts.operations, "f16>f32" or one of the names below
  uint64_t* executions;       ///< of each block, by threads
  const uint32_t* operations; ///< [block][class]
};

inline constexpr char kLibrarySymbol[] = "metalsim_instrumentation";

/// Classes that are bytes and not operations: accesses whose memory the pass knows, which are not reported one by one.
inline constexpr char kConstantLoadedBytes[] = "constant_loaded_bytes";
inline constexpr char kThreadLoadedBytes[] = "thread_loaded_bytes";
inline constexpr char kThreadStoredBytes[] = "thread_stored_bytes";

} // namespace metalsim::instrumentation

// NOLINTBEGIN: the names are the ABI
extern "C" {
/// Before each access to device or threadgroup memory, and to memory of which the pass does not know whose it is.
/// Returns the address to access: `address`, or where that is out of bounds, memory that harms nobody.
void* metalsim_access(void* address, uint64_t size, const metalsim::instrumentation::Site* site);
/// An access to a variable of the thread that is not inside of it. `byte` counts from its start.
void metalsim_thread_out_of_bounds(int64_t byte, uint64_t size, uint64_t variable_size,
                                   const metalsim::instrumentation::Site* site);
/// A value that depends on memory of the thread that was never written is used. `variable` says which, or is null.
void metalsim_uninitialized_read(const metalsim::instrumentation::Site* site, const char* variable);
}
// NOLINTEND
