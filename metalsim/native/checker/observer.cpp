// Takes what the scheduler and the kernel report to the checks and counters of the dispatch.
#include "../runtime/observer.h"

#include "counters.h"
#include "device_memory.h"
#include "report.h"
#include "threadgroup_memory.h"

#include <optional>
#include <string>
#include <vector>

namespace metalsim {

namespace {

using checker::Counters;
using checker::DeviceMemory;
using checker::Reporter;
using checker::Site;
using checker::Sites;
using checker::ThreadgroupMemory;

constexpr uint64_t kMaxHarmlessBytes = uint64_t{1} << 20;
/// Above any byte of a buffer: keeps the lines of several buffers apart.
constexpr uint32_t kBufferShift = 48;

class Observed {
public:
  Observed(const Request& request, Findings& findings)
      : request_(request), checks_((request.mode & kCheck) != 0), counts_((request.mode & kCount) != 0),
        reporter_(findings, sites_), threadgroup_(reporter_), device_(request, reporter_), counters_(sites_) {}

  /// Whether the access is inside of the memory that it is meant for; always without checks.
  bool access(const void* address, uint64_t size, const Site& site);
  /// Memory for an access that is not.
  void* harmless_memory(void* address, uint64_t size);
  void thread_out_of_bounds(const Site& site, int64_t byte, uint64_t size, uint64_t variable_size);
  void uninitialized_read(const Site& site, const char* variable);

  const Request& request_;
  const bool checks_;
  const bool counts_;
  Sites sites_;
  Reporter reporter_;
  ThreadgroupMemory threadgroup_;
  DeviceMemory device_;
  Counters counters_;

private:
  bool threadgroup_access(int64_t offset, uint64_t size, const Site& site, const Running& running);
  bool device_access(uint64_t address, uint64_t size, const Site& site, const Running& running);

  std::vector<char> harmless_memory_;
};

/// Of the thread of the host that runs the dispatch. A plain pointer, since every access asks for it.
__thread Observed* observed __attribute__((tls_model("initial-exec"))) = nullptr;

bool Observed::access(const void* pointer, uint64_t size, const Site& site) {
  const Running* running = metalsim::running();
  if (!running || size == 0) {
    return true;
  }
  reporter_.settle();
  sites_.executed(site);
  const uint64_t address = reinterpret_cast<uint64_t>(pointer);
  const uint64_t arena = reinterpret_cast<uint64_t>(running->threadgroup_memory);
  if (site.buffer >= 0) {
    return device_access(address, size, site, *running);
  }
  if (site.variable || address - arena < running->threadgroup_memory_size) {
    return threadgroup_access(static_cast<int64_t>(address - arena), size, site, *running);
  }
  if (address >= reinterpret_cast<uint64_t>(running->stack_begin) &&
      address < reinterpret_cast<uint64_t>(running->stack_end)) {
    counters_.thread_access(size, site);
    return true;
  }
  return device_access(address, size, site, *running);
}

bool Observed::threadgroup_access(int64_t offset, uint64_t size, const Site& site, const Running& running) {
  const bool is_inside = !checks_ || threadgroup_.access(offset, size, site, running);
  if (counts_ && is_inside) {
    counters_.threadgroup_access(running.thread, static_cast<uint64_t>(offset), size, site);
  }
  return is_inside;
}

bool Observed::device_access(uint64_t address, uint64_t size, const Site& site, const Running& running) {
  const std::optional<uint32_t> buffer =
      checks_ ? device_.access(address, size, site, running) : device_.find(address, size, site);
  if (counts_ && buffer) {
    // A buffer of Metal begins at a page, its copy here wherever its end demands.
    const uint64_t begin = reinterpret_cast<uint64_t>(request_.buffers[*buffer].memory);
    const uint64_t place = address - begin + (uint64_t{*buffer} << kBufferShift);
    counters_.device_access(running.thread, place, size, site, *buffer);
  }
  return !checks_ || buffer;
}

void* Observed::harmless_memory(void* address, uint64_t size) {
  if (size > kMaxHarmlessBytes) {
    return address; // whoever copies that much out of bounds comes to a page that is not there
  }
  if (size > harmless_memory_.size()) {
    harmless_memory_.resize(size);
  }
  return harmless_memory_.data();
}

void Observed::thread_out_of_bounds(const Site& site, int64_t byte, uint64_t size, uint64_t variable_size) {
  if (checks_ && running()) {
    reporter_.out_of_bounds(site, {"thread", std::nullopt, byte, size},
                            "a variable of the thread of " + std::to_string(variable_size) + " bytes");
  }
}

void Observed::uninitialized_read(const Site& site, const char* variable) {
  if (!checks_ || !running()) {
    return;
  }
  const std::string name = variable ? std::string(variable) : "a variable of the thread";
  reporter_.uninitialized_read(site, {"thread", std::nullopt, std::nullopt, std::nullopt},
                               "used here: " + name + " holds what the thread has never initialised");
}

} // namespace

namespace observer {

void begin_dispatch(const Request& request, Findings& findings) {
  checker::reset_operations(request);
  observed = new Observed(request, findings);
}

void begin_threadgroup(uint64_t, uint32_t threads) {
  observed->threadgroup_.begin_threadgroup();
  observed->device_.begin_threadgroup();
  observed->counters_.begin_threadgroup(threads);
}

void threadgroup_memory_allocated(uint64_t offset, uint64_t size, const char* name) {
  observed->threadgroup_.allocated(offset, size, name);
}

void simdgroup_met(uint32_t simdgroup, uint32_t mask) {
  observed->reporter_.settle();
  observed->counters_.simdgroup_met(simdgroup, mask);
}

void collective(uint32_t, uint32_t, abi::Collective op, uint32_t) {
  observed->counters_.collective(op);
}

void matrix_product(uint32_t, uint32_t, uint32_t types) {
  observed->counters_.matrix_product(types);
}

void threadgroup_barrier(uint32_t flags) {
  observed->reporter_.settle();
  observed->counters_.threadgroup_barrier();
  if ((flags & abi::kMemThreadgroup) != 0) {
    observed->threadgroup_.threadgroup_barrier();
  }
  if ((flags & abi::kMemDevice) != 0) {
    observed->device_.threadgroup_barrier();
  }
}

void simdgroup_barrier(uint32_t simdgroup, uint32_t flags) {
  observed->reporter_.settle();
  observed->counters_.simdgroup_barrier();
  if ((flags & abi::kMemThreadgroup) != 0) {
    observed->threadgroup_.simdgroup_barrier(simdgroup);
  }
  if ((flags & abi::kMemDevice) != 0) {
    observed->device_.simdgroup_barrier(simdgroup);
  }
}

void end_threadgroup() {
  observed->reporter_.settle();
}

std::string end_dispatch() {
  const Observed& ended = *observed;
  std::string counts = "null";
  if (ended.counts_) {
    counts = checker::to_json(ended.counters_.totals(), ended.request_, ended.sites_);
  }
  delete observed;
  observed = nullptr;
  return counts;
}

} // namespace observer

} // namespace metalsim

extern "C" {

void* metalsim_access(void* address, uint64_t size, const metalsim::instrumentation::Site* site) {
  metalsim::Observed* observed = metalsim::observed;
  const bool is_harmless = !observed || observed->access(address, size, *site);
  return is_harmless ? address : observed->harmless_memory(address, size);
}

void metalsim_thread_out_of_bounds(int64_t byte, uint64_t size, uint64_t variable_size,
                                   const metalsim::instrumentation::Site* site) {
  if (metalsim::observed) {
    metalsim::observed->thread_out_of_bounds(*site, byte, size, variable_size);
  }
}

void metalsim_uninitialized_read(const metalsim::instrumentation::Site* site, const char* variable) {
  if (metalsim::observed) {
    metalsim::observed->uninitialized_read(*site, variable);
  }
}

void metalsim_event(uint32_t event, uint32_t count) {
  const metalsim::Running* running = metalsim::running();
  if (metalsim::observed && running) {
    metalsim::observed->counters_.event(running->thread, event, count);
  }
}
}
