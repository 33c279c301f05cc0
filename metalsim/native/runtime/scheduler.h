// How the scheduler reports what it sees; scheduler.cpp runs threads, divergence.cpp finds fault with them.
#pragma once

#include "worker.h"

namespace metalsim {

/// The lanes of `group` have met at the simdgroup's operation: tells the observer, and reports lanes that are missing.
/// Called before the operation is run.
void observe_meeting(Worker& worker, Simdgroup& simdgroup, uint32_t group);
/// Lanes that run_collective returned.
void report_bad_lanes(Worker& worker, Simdgroup& simdgroup, uint32_t lanes);
/// All threads that have not returned are at a threadgroup barrier. Called before any of them goes on.
void observe_barrier(Worker& worker);
/// Tells the observer of the accesses of lanes that have returned since the last meeting, and of `lanes`.
void observe_lanes(Simdgroup& simdgroup, uint32_t lanes);

} // namespace metalsim
