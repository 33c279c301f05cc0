// Signals that a kernel raises, and what they say: see faults.h.
#include "faults.h"

#include "symbolize.h"
#include "worker.h"

#include <cstdio>
#include <cstring>
#include <iterator>
#include <link.h>
#include <ucontext.h>

namespace metalsim {

namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
struct sigaction previous_actions[std::size(kSignals)];
CodeRange runtime_code;

struct RangeSearch {
  uintptr_t wanted;
  CodeRange found;
};

int find_range(dl_phdr_info* library, size_t, void* data) {
  RangeSearch& search = *static_cast<RangeSearch*>(data);
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = library->dlpi_phdr[i];
    const uintptr_t begin = library->dlpi_addr + segment.p_vaddr;
    const CodeRange range = {begin, begin + segment.p_memsz};
    if (segment.p_type == PT_LOAD && segment.p_flags & PF_X && range.contains(search.wanted)) {
      search.found = range;
      return 1;
    }
  }
  return 0;
}

/// Looks up the stack for the call that left the kernel's library: the first word that is an address in it.
uintptr_t find_caller(const Worker& worker, uintptr_t stack_pointer) {
  const Simdgroup& simdgroup = *worker.simdgroup;
  const uintptr_t end = reinterpret_cast<uintptr_t>(worker.stacks.end(simdgroup.first_thread + simdgroup.lane));
  const uintptr_t begin = end - FiberStacks::kUsableBytes;
  if (stack_pointer < begin || stack_pointer % sizeof(uintptr_t) != 0) {
    return 0;
  }
  for (uintptr_t at = stack_pointer; at < end; at += sizeof(uintptr_t)) {
    const uintptr_t word = *reinterpret_cast<const uintptr_t*>(at);
    if (worker.faults.kernel_code.contains(word)) {
      return word;
    }
  }
  return 0;
}

void note(Worker& worker, int signal, const siginfo_t& information, const ucontext_t& machine) {
  Fault& fault = worker.faults.fault;
  fault.signal = signal;
  // SI_KERNEL: a general protection fault, for which the processor gives no address.
  fault.has_address = (signal == SIGSEGV || signal == SIGBUS) && information.si_code != SI_KERNEL;
  fault.address = reinterpret_cast<uintptr_t>(information.si_addr);
  constexpr greg_t kPageFaultWrite = 2;
  fault.is_write = machine.uc_mcontext.gregs[REG_ERR] & kPageFaultWrite;
  fault.instruction = static_cast<uintptr_t>(machine.uc_mcontext.gregs[REG_RIP]);
  fault.is_call = false;
  if (!worker.faults.kernel_code.contains(fault.instruction)) {
    fault.instruction = find_caller(worker, static_cast<uintptr_t>(machine.uc_mcontext.gregs[REG_RSP]));
    fault.is_call = true;
  }
}

/// Whether a signal is the running kernel's. The runtime's own code runs on the fibers' stacks as well, and can
/// overflow them, but whatever else goes wrong in it is not the kernel's doing.
bool is_kernels(const Worker* worker, const siginfo_t& information, const ucontext_t& machine) {
  if (!worker || !worker->faults.in_kernel) {
    return false;
  }
  if (worker->stacks.overflowed(reinterpret_cast<uintptr_t>(information.si_addr))) {
    return true;
  }
  return !runtime_code.contains(static_cast<uintptr_t>(machine.uc_mcontext.gregs[REG_RIP]));
}

void pass_on(int signal, siginfo_t* information, void* context) {
  size_t index = 0;
  while (kSignals[index] != signal) {
    ++index;
  }
  const struct sigaction& previous = previous_actions[index];
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, information, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    // The instruction is tried again, and the process ends as it would have without us.
    sigaction(signal, &previous, nullptr);
  }
}

void on_signal(int signal, siginfo_t* information, void* context) {
  ucontext_t& machine = *static_cast<ucontext_t*>(context);
  Worker* worker = current_worker;
  if (!is_kernels(worker, *information, machine)) {
    pass_on(signal, information, context);
    return;
  }
  note(*worker, signal, *information, machine);
  machine.uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(worker->main_stack);
  machine.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&metalsim_adopt_stack);
}

std::string hexadecimal(uintptr_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

/// How far `address` is from a buffer's memory.
uint64_t distance_from(const Binding& binding, uintptr_t address) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(binding.memory);
  const uintptr_t end = begin + binding.memory_size;
  return address < begin ? begin - address : address >= end ? address - end + 1 : 0;
}

void name_nearest_buffer(const Request& request, uintptr_t address, Finding& finding) {
  // Further away than this, the nearest buffer has nothing to do with it.
  uint64_t nearest = uint64_t{1} << 30;
  for (uint32_t index = 0; index < abi::kMaxBindings; ++index) {
    const Binding& binding = request.buffers[index];
    if (binding.address && distance_from(binding, address) < nearest) {
      nearest = distance_from(binding, address);
      finding.space = "device";
      finding.buffer = index;
      finding.byte = static_cast<int64_t>(address - reinterpret_cast<uintptr_t>(binding.memory));
    }
  }
}

void describe_address(const Worker& worker, uintptr_t address, Finding& finding) {
  constexpr uintptr_t kNullPages = 64 * 1024;
  const std::string access = worker.faults.fault.is_write ? "a write" : "a read";
  if (worker.stacks.overflowed(address)) {
    finding.space = "thread";
    finding.detail = "the thread needs more than " + std::to_string(FiberStacks::kUsableBytes) + " bytes of stack";
  } else if (const std::optional<uint32_t> index = unbound_buffer_index(address)) {
    finding.space = "device";
    finding.buffer = *index;
    finding.byte = static_cast<int64_t>(address - reinterpret_cast<uintptr_t>(unbound_buffer(*index)));
    finding.detail = access + " of a buffer to which nothing is bound";
  } else if (worker.memory.guards(address)) {
    finding.space = "threadgroup";
    finding.byte = static_cast<int64_t>(address - reinterpret_cast<uintptr_t>(worker.memory.address()));
    finding.detail = access + " outside of threadgroup memory";
  } else if (address < kNullPages) {
    finding.detail = access + " through a null pointer: of a disabled argument, or never set";
  } else {
    name_nearest_buffer(*worker.request, address, finding);
    finding.detail = access + " of memory that is not mapped";
    finding.detail += finding.buffer ? "; the buffer is the nearest one" : ", at " + hexadecimal(address);
  }
}

std::string describe_signal(int signal) {
  switch (signal) {
  case SIGFPE:
    return "an integer division by zero, or one whose quotient does not fit";
  case SIGILL:
    return "the compiler has proved that this is never reached: the kernel's behaviour is undefined here";
  default:
    return "a vector access at an address that is not a multiple of its alignment, or an address that cannot exist";
  }
}

} // namespace

CodeRange code_range_of(const void* function) {
  RangeSearch search = {reinterpret_cast<uintptr_t>(function), {}};
  dl_iterate_phdr(find_range, &search);
  return search.found;
}

void FaultHandling::begin_thread(const void* kernel_function) {
  // Signals to the process are for other threads: their handlers do not expect a fiber's small stack.
  sigset_t others;
  sigfillset(&others);
  for (int signal : kSignals) {
    sigdelset(&others, signal);
  }
  pthread_sigmask(SIG_BLOCK, &others, nullptr);
  kernel_code = code_range_of(kernel_function);
  if (!stack_) {
    stack_ = std::make_unique<char[]>(kStackBytes);
  }
  stack_t stack = {};
  stack.ss_sp = stack_.get();
  stack.ss_size = kStackBytes;
  sigaltstack(&stack, nullptr);
}

void FaultHandling::end_thread() {
  stack_t stack = {};
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, nullptr);
}

SignalHandlers::SignalHandlers() {
  runtime_code = code_range_of(reinterpret_cast<const void*>(&metalsim_enter));
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], &action, &previous_actions[i]);
  }
}

SignalHandlers::~SignalHandlers() {
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], &previous_actions[i], nullptr);
  }
}

void report_fault(Worker& worker) {
  const Fault& fault = worker.faults.fault;
  Finding finding;
  finding.kind = "fault";
  if (fault.instruction) {
    const void* instruction = reinterpret_cast<const void*>(fault.instruction);
    const SourceLocation location = fault.is_call ? call_location(instruction) : instruction_location(instruction);
    finding.file = location.file;
    finding.line = location.line;
  }
  if (fault.has_address) {
    describe_address(worker, fault.address, finding);
  } else {
    finding.detail = describe_signal(fault.signal);
  }
  worker.findings->add(finding);
}

void abandon_threadgroup(Worker& worker, const char* reason, const void* call_site) {
  const SourceLocation location = call_location(call_site);
  Finding finding;
  finding.kind = "fault";
  finding.file = location.file;
  finding.line = location.line;
  finding.detail = reason;
  worker.findings->add(finding);
  worker.faults.abandoned = true;
  metalsim_abandon();
}

} // namespace metalsim
