// What Python asks the runtime for, mirrored field by field in metalsim/native.py.
#pragma once

#include "../abi.h"

namespace metalsim {

/// A bound buffer. Several bindings may lie in the same memory.
struct Binding {
  void* address;        ///< what the kernel gets: memory + offset; null = not bound
  void* memory;         ///< start of the whole buffer
  uint64_t memory_size; ///< bytes of the whole buffer: an access must lie inside of it
};

enum class Schedule : uint32_t {
  forward,  ///< threadgroups, simdgroups and lanes in ascending order
  reversed, ///< descending
  random,   ///< drawn from `seed`: threadgroups, and the next simdgroup at every barrier and collective
};

enum Mode : uint32_t {
  kCheck = 1, ///< report findings; needs a kernel built with instrumentation
  kCount = 2, ///< count; needs a kernel built with instrumentation
  kLines = 4, ///< count for each source line as well
};

struct Request {
  const abi::Kernel* kernel;
  uint32_t threads_per_grid[3]; ///< need not be a multiple of the next: threadgroups at the edges are then smaller
  uint32_t threads_per_threadgroup[3];
  Binding buffers[abi::kMaxBindings];
  uint64_t threadgroup_memory[abi::kMaxBindings]; ///< bytes of each [[threadgroup(n)]]
  uint32_t workers;                               ///< threads of the host; checks and counts use one
  uint32_t mode;                                  ///< of Mode
  uint32_t schedule;                              ///< of Schedule
  uint64_t seed;
};

} // namespace metalsim

extern "C" {
/// Runs a dispatch to its end and returns a JSON text, valid until the calling thread's next dispatch:
///   {"seconds": 0.01, "findings": [...], "counts": {...} or null}
/// A finding: {"kind", "kernel", "threadgroup": [x, y, z], "thread", "simdgroup", "lane", "space", "buffer", "byte",
/// "size", "file", "line", "detail", "occurrences"}; what does not apply is null. Findings that differ only in thread
/// and byte are one, with the first one's place and the number of occurrences. Kinds: "out_of_bounds",
/// "uninitialized_read", "race", "divergence", "fault".
const char* metalsim_dispatch(const metalsim::Request* request);
/// The findings of the calling thread's last dispatch, for callers that read its answer only if there are some.
uint32_t metalsim_finding_count();
}
