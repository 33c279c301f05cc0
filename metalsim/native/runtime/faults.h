// Faults of the processor inside of a kernel: a signal becomes a "fault" finding and the end of the dispatch.
//
// The handler only notes what happened. It then lets the host thread go on from the call of metalsim_enter, on the
// stack that was suspended there, and the finding is made there. Signals that are not a kernel's go to the handlers
// that were installed before.
#pragma once

#include <csignal>
#include <cstdint>
#include <memory>

namespace metalsim {

struct Worker;

/// Addresses of a loaded library's code.
struct CodeRange {
  uintptr_t begin = 0, end = 0;

  bool contains(uintptr_t address) const { return address >= begin && address < end; }
};
CodeRange code_range_of(const void* function);

struct Fault {
  int signal = 0;           ///< 0 = none
  bool has_address = false; ///< the processor names no address for, say, a misaligned vector access
  bool is_write = false;
  uintptr_t address = 0;
  uintptr_t instruction = 0; ///< in the kernel's library where possible: else a function that the kernel called faulted
  bool is_call = false;      ///< `instruction` is a return address
};

/// A host thread's part of fault handling.
class FaultHandling {
public:
  /// To be called on the thread: gives it the stack on which signals are handled, and takes it back.
  void begin_thread(const void* kernel_code);
  void end_thread();

  Fault fault;
  bool abandoned = false; ///< the runtime gave the threadgroup up and has said why
  CodeRange kernel_code;
  volatile bool in_kernel = false; ///< between metalsim_enter and its return

private:
  static constexpr size_t kStackBytes = 64 * 1024;
  std::unique_ptr<char[]> stack_;
};

/// Installs the handlers for as long as it lives. One at a time.
class SignalHandlers {
public:
  SignalHandlers();
  ~SignalHandlers();
};

/// Adds a finding for the worker's fault.
void report_fault(Worker& worker);
/// Adds a finding and gives up the running threadgroup: for what a kernel asks of the runtime and cannot get.
[[noreturn]] void abandon_threadgroup(Worker& worker, const char* reason, const void* call_site);

} // namespace metalsim
