// What the scheduler tells the checks and counters, and what they may ask it. The scheduler (runtime/) calls these at
// the places named; native/checker/ implements them. They are called only in dispatches with kCheck or kCount.
#pragma once

#include "findings.h"
#include "request.h"

#include <cstdint>
#include <string>

namespace metalsim {

/// The thread that is running now, and its memory. Filled in by the scheduler; cheap to read.
struct Running {
  const Request* request;
  const abi::Position* position; ///< of the running thread
  uint32_t thread;               ///< index in the threadgroup
  uint32_t simdgroup, lane;
  uint64_t threadgroup_number; ///< linear index of the threadgroup in the grid
  char* threadgroup_memory;    ///< arena of the running threadgroup
  uint64_t threadgroup_memory_size;
  char* stack_begin; ///< stack of the running thread: [begin, end)
  char* stack_end;
};
/// Of the calling host thread; null outside of a dispatch.
const Running* running();

namespace observer {
void begin_dispatch(const Request& request, Findings& findings);
void begin_threadgroup(uint64_t number, uint32_t threads);
/// A variable or argument of the threadgroup address space got its place in the arena.
void threadgroup_memory_allocated(uint64_t offset, uint64_t size, const char* name);
/// All the lanes in `mask` have arrived at a collective of simdgroup `simdgroup`, or at the end of the kernel: accesses
/// recorded for each lane since the last time are one run of SIMD instructions and can be lined up.
void simdgroup_met(uint32_t simdgroup, uint32_t mask);
void collective(uint32_t simdgroup, uint32_t mask, abi::Collective op, uint32_t parameter);
void matrix_product(uint32_t simdgroup, uint32_t mask, uint32_t types);
void threadgroup_barrier(uint32_t flags);                   ///< all threads have arrived; before any goes on
void simdgroup_barrier(uint32_t simdgroup, uint32_t flags); ///< all live lanes have arrived
void end_threadgroup();
/// Returns the counts as a JSON object (metalsim/counts.py lists its keys), or "null" without kCount.
std::string end_dispatch();
} // namespace observer

} // namespace metalsim
