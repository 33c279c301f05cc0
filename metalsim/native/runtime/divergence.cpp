// What the scheduler tells the observer when threads meet, and the "divergence" findings: threads that did not come to
// a collective or barrier which Metal wants all of them to reach.
#include "scheduler.h"

#include "collectives.h"
#include "symbolize.h"

#include <iterator>

namespace metalsim {

namespace {

/// Metal's name for a collective that is not a reduction, by its number.
constexpr const char* kNames[] = {
    "simd_shuffle",
    "simd_shuffle_xor",
    "simd_shuffle_up",
    "simd_shuffle_down",
    "simd_shuffle_rotate_up",
    "simd_shuffle_rotate_down",
    "simd_shuffle_and_fill_up",
    "simd_shuffle_and_fill_down",
    "simd_broadcast",
    "simd_broadcast_first",
    "quad_shuffle",
    "quad_shuffle_xor",
    "quad_shuffle_up",
    "quad_shuffle_down",
    "quad_broadcast",
    "simd_ballot, simd_all or simd_any",
    "simd_active_threads_mask",
    "simd_is_first",
};

/// The end of its name, by abi::Reduction: "simd_" + "sum".
constexpr const char* kReductionNames[] = {
    "sum",
    "product",
    "min",
    "max",
    "and",
    "or",
    "xor",
    "prefix_inclusive_sum",
    "prefix_exclusive_sum",
    "prefix_inclusive_product",
    "prefix_exclusive_product",
};

/// Metal's name for what a lane waits at.
std::string operation_name(const Simdgroup& simdgroup, uint32_t lane) {
  const uint32_t operation = simdgroup.lane_operation[lane];
  const uint32_t reduction = simdgroup.parameter[lane] >> 8;
  if (operation == kMatrixProduct) {
    return "simdgroup_multiply_accumulate";
  }
  if (operation == kSimdgroupBarrier) {
    return "simdgroup_barrier";
  }
  const bool is_reduction = operation == static_cast<uint32_t>(abi::Collective::reduce);
  const bool is_quad_reduction = operation == static_cast<uint32_t>(abi::Collective::quad_reduce);
  if ((is_reduction || is_quad_reduction) && reduction < std::size(kReductionNames)) {
    return std::string(is_quad_reduction ? "quad_" : "simd_") + kReductionNames[reduction];
  }
  return operation < std::size(kNames) ? kNames[operation] : "an unknown collective";
}

/// The place of the finding is `lane`, which waits at a collective or barrier.
void report(Worker& worker, Simdgroup& simdgroup, uint32_t lane, const std::string& detail) {
  worker.simdgroup = &simdgroup;
  simdgroup.lane = lane;
  const SourceLocation location = call_location(site_of(simdgroup.stack[lane]));
  Finding finding;
  finding.kind = "divergence";
  finding.file = location.file;
  finding.line = location.line;
  finding.detail = detail;
  worker.findings->add(finding);
}

std::string description_of(const void* site) {
  const SourceLocation location = call_location(site);
  return location.file.empty() ? "a place without line numbers" : location.file + ":" + std::to_string(location.line);
}

/// Whether an operation is there to ask which lanes are active, so that it means something without all of them.
bool is_about_active_lanes(uint32_t operation) {
  switch (static_cast<abi::Collective>(operation)) {
  case abi::Collective::active_mask:
  case abi::Collective::is_first:
  case abi::Collective::broadcast_first:
    return true;
  default:
    return false;
  }
}

/// Where the live lanes are that did not come.
std::string whereabouts(const Simdgroup& simdgroup, uint32_t group) {
  const uint32_t waiting = simdgroup.waiting & ~group;
  if (waiting) {
    const uint32_t lane = first_lane(waiting);
    return "others wait at " + operation_name(simdgroup, lane) + " in " +
           description_of(site_of(simdgroup.stack[lane]));
  }
  if (!simdgroup.at_barrier) {
    return "others have returned";
  }
  const uint32_t lane = first_lane(simdgroup.at_barrier);
  return "others wait at threadgroup_barrier in " + description_of(site_of(simdgroup.stack[lane]));
}

void check_meeting(Worker& worker, Simdgroup& simdgroup, uint32_t group) {
  const uint32_t operation = simdgroup.operation;
  const uint32_t lane = first_lane(group);
  if (group != simdgroup.all && !is_about_active_lanes(operation)) {
    report(worker, simdgroup, lane,
           operation_name(simdgroup, lane) + " is reached by only some of the simdgroup's threads; " +
               whereabouts(simdgroup, group));
  } else if (operation == kMatrixProduct && group != kAllLanes) {
    const bool is_short = simdgroup.all != kAllLanes;
    report(worker, simdgroup, lane,
           operation_name(simdgroup, lane) + " needs all 32 threads of a simdgroup, and " +
               (is_short ? "this simdgroup has fewer" : "some of them have returned"));
  }
}

} // namespace

void observe_lanes(Simdgroup& simdgroup, uint32_t lanes) {
  const uint32_t met = lanes | simdgroup.returned;
  simdgroup.returned = 0;
  if (met) {
    observer::simdgroup_met(simdgroup.index, met);
  }
}

void observe_meeting(Worker& worker, Simdgroup& simdgroup, uint32_t group) {
  observe_lanes(simdgroup, group);
  if (worker.check) {
    check_meeting(worker, simdgroup, group);
  }
  const uint32_t parameter = simdgroup.parameter[first_lane(group)];
  if (simdgroup.operation == kMatrixProduct) {
    observer::matrix_product(simdgroup.index, group, parameter);
  } else if (simdgroup.operation != kSimdgroupBarrier) {
    observer::collective(simdgroup.index, group, static_cast<abi::Collective>(simdgroup.operation), parameter);
  } else if (group == simdgroup.live) {
    observer::simdgroup_barrier(simdgroup.index, parameter);
  }
}

void report_bad_lanes(Worker& worker, Simdgroup& simdgroup, uint32_t lanes) {
  const std::string name = operation_name(simdgroup, first_lane(lanes));
  const bool is_broadcast = static_cast<abi::Collective>(simdgroup.operation) == abi::Collective::broadcast;
  report(worker, simdgroup, first_lane(lanes),
         name + " reads from a thread that is not active or does not exist" +
             (is_broadcast ? ", or not from the same one in all threads" : ""));
}

void observe_barrier(Worker& worker) {
  Simdgroup* first = nullptr;
  Simdgroup* other = nullptr; // with a lane at another barrier than the first lane of `first`
  uint32_t other_lane = 0;
  bool have_returned = false;
  for (uint32_t index = 0; index < worker.simdgroup_count; ++index) {
    Simdgroup& simdgroup = worker.simdgroups[index];
    have_returned |= simdgroup.live != simdgroup.all;
    observe_lanes(simdgroup, simdgroup.at_barrier);
    if (!first && simdgroup.at_barrier) {
      first = &simdgroup;
    }
    for (uint32_t lanes = simdgroup.at_barrier; lanes && !other; lanes &= lanes - 1) {
      const uint32_t lane = first_lane(lanes);
      if (site_of(simdgroup.stack[lane]) != site_of(first->stack[first_lane(first->at_barrier)])) {
        other = &simdgroup;
        other_lane = lane;
      }
    }
  }
  if (worker.check && other) {
    report(worker, *first, first_lane(first->at_barrier),
           "threads of the threadgroup wait at different threadgroup_barriers; others in " +
               description_of(site_of(other->stack[other_lane])));
  }
  if (worker.check && have_returned) {
    report(worker, *first, first_lane(first->at_barrier),
           "threadgroup_barrier is reached after some threads of the threadgroup have returned");
  }
  observer::threadgroup_barrier(worker.barrier_flags);
}

} // namespace metalsim
