// The scheduler: which thread of a threadgroup runs next.
//
// A thread runs until it blocks. Simdgroups run in lockstep groups: a collective is run when no lane of the simdgroup
// is ready any more, so that all that can take part have arrived.
//
// If the lanes wait at different collectives, the one at the lowest address goes first and the others stay: lanes that
// went round a loop once more, or took the first branch, catch up with those that wait behind it, as they would on the
// hardware. Nothing can wait for ever: if lanes wait at collectives, one of these is run; if all that are left wait at
// threadgroup barriers, these open. Either can be a fault of the kernel, which divergence.cpp reports.
//
// The order of simdgroups and lanes is the request's schedule. The random one is drawn from the seed and the number of
// the threadgroup, so that it does not depend on which host thread runs it.
#include "scheduler.h"

#include "collectives.h"

#include <cstring>
#include <immintrin.h>

namespace metalsim {

__thread Worker* current_worker __attribute__((tls_model("initial-exec"), visibility("hidden"))) = nullptr;

uint64_t draw(Worker& worker) { // SplitMix64
  uint64_t z = worker.random_state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

namespace {

uint32_t next_lane(const Worker& worker, const Simdgroup& simdgroup) {
  if (worker.descending) {
    return last_lane(simdgroup.ready);
  }
  const uint32_t ahead = simdgroup.ready & simdgroup.start;
  return first_lane(ahead ? ahead : simdgroup.ready);
}

Resume resume(const Worker& worker, Simdgroup& simdgroup) {
  const uint32_t lane = next_lane(worker, simdgroup);
  simdgroup.lane = lane;
  return {simdgroup.stack[lane], &simdgroup.results[lane]};
}

uint32_t next_simdgroup(Worker& worker) {
  if (worker.random) {
    const uint32_t nth = static_cast<uint32_t>(draw(worker) % __builtin_popcount(worker.runnable));
    return first_lane(_pdep_u32(1u << nth, worker.runnable));
  }
  return worker.descending ? last_lane(worker.runnable) : first_lane(worker.runnable);
}

void make_ready(Worker& worker, Simdgroup& simdgroup, uint32_t lanes) {
  simdgroup.ready = lanes;
  worker.runnable |= 1u << simdgroup.index;
  if (worker.random) {
    simdgroup.start = kAllLanes << draw(worker) % abi::kSimdWidth;
  }
}

/// Takes `lane` as the one that the others which wait are compared with.
void note_operation(Simdgroup& simdgroup, uint32_t lane) {
  simdgroup.operation = simdgroup.lane_operation[lane];
  simdgroup.site = site_of(simdgroup.stack[lane]);
  simdgroup.mismatch = false;
}

inline void compare_operation(Simdgroup& simdgroup, uint32_t operation, const void* stack) {
  if (__builtin_expect(simdgroup.operation != operation || simdgroup.site != site_of(stack), false)) {
    simdgroup.mismatch = true;
  }
}

/// Of lanes that wait at different collectives, those at the one that comes first in the code.
uint32_t earliest_lanes(Simdgroup& simdgroup) {
  uint32_t earliest = first_lane(simdgroup.waiting);
  for (uint32_t lanes = simdgroup.waiting; lanes; lanes &= lanes - 1) {
    const uint32_t lane = first_lane(lanes);
    if (site_of(simdgroup.stack[lane]) < site_of(simdgroup.stack[earliest])) {
      earliest = lane;
    }
  }
  note_operation(simdgroup, earliest);
  uint32_t group = 0;
  for (uint32_t lanes = simdgroup.waiting; lanes; lanes &= lanes - 1) {
    const uint32_t lane = first_lane(lanes);
    const bool same =
        simdgroup.lane_operation[lane] == simdgroup.operation && site_of(simdgroup.stack[lane]) == simdgroup.site;
    group |= uint32_t{same} << lane;
  }
  return group;
}

void compare_remaining(Simdgroup& simdgroup) {
  if (simdgroup.waiting) {
    note_operation(simdgroup, first_lane(simdgroup.waiting));
  }
  for (uint32_t lanes = simdgroup.waiting; lanes; lanes &= lanes - 1) {
    const uint32_t lane = first_lane(lanes);
    compare_operation(simdgroup, simdgroup.lane_operation[lane], simdgroup.stack[lane]);
  }
}

/// Lanes wait at collectives and none is ready: runs a collective and makes its lanes ready.
void meet(Worker& worker, Simdgroup& simdgroup) {
  const uint32_t group = simdgroup.mismatch ? earliest_lanes(simdgroup) : simdgroup.waiting;
  if (worker.observed) {
    observe_meeting(worker, simdgroup, group);
  }
  if (simdgroup.operation == kMatrixProduct) {
    multiply_matrices(simdgroup, group);
  } else if (simdgroup.operation != kSimdgroupBarrier) {
    const uint32_t bad = run_collective(simdgroup, static_cast<abi::Collective>(simdgroup.operation), group);
    if (bad && worker.check) {
      report_bad_lanes(worker, simdgroup, bad);
    }
  }
  simdgroup.waiting &= ~group;
  make_ready(worker, simdgroup, group);
  compare_remaining(simdgroup);
}

/// No simdgroup can go on: opens the barrier that threads wait at, if there are any.
bool open_barrier(Worker& worker) {
  uint32_t waiting = 0;
  for (uint32_t index = 0; index < worker.simdgroup_count; ++index) {
    waiting |= worker.simdgroups[index].at_barrier;
  }
  if (!waiting) {
    return false;
  }
  if (worker.observed) {
    observe_barrier(worker);
  }
  for (uint32_t index = 0; index < worker.simdgroup_count; ++index) {
    Simdgroup& simdgroup = worker.simdgroups[index];
    if (simdgroup.at_barrier) {
      make_ready(worker, simdgroup, simdgroup.at_barrier);
      simdgroup.at_barrier = 0;
    }
  }
  return true;
}

/// No lane of the running simdgroup is ready.
__attribute__((noinline)) Resume continue_elsewhere(Worker& worker, Simdgroup& simdgroup) {
  if (simdgroup.waiting) {
    meet(worker, simdgroup);
  } else {
    worker.runnable &= ~(1u << simdgroup.index);
    if (worker.observed && !simdgroup.live) {
      observe_lanes(simdgroup, 0);
    }
  }
  if (!worker.runnable && !open_barrier(worker)) {
    return {worker.main_stack, &worker.main_result};
  }
  worker.simdgroup = &worker.simdgroups[next_simdgroup(worker)];
  return resume(worker, *worker.simdgroup);
}

/// `lane` cannot go on. Lanes become ready all at once and run in ascending order, so that the next one is the next
/// number: known at once, where looking for it would wait for what has just been stored.
inline Resume continue_after(Worker& worker, Simdgroup& simdgroup, uint32_t lane) {
  const uint32_t next = lane + 1;
  if (__builtin_expect(!worker.descending && (uint64_t{simdgroup.ready} >> next & 1) != 0, true)) {
    simdgroup.lane = next;
    return {simdgroup.stack[next], &simdgroup.results[next]};
  }
  if (__builtin_expect(simdgroup.ready != 0, true)) {
    return resume(worker, simdgroup);
  }
  return continue_elsewhere(worker, simdgroup);
}

/// The running lane has arrived at a collective.
inline Resume wait(Worker& worker, Simdgroup& simdgroup, uint32_t lane, uint32_t operation, uint32_t parameter,
                   void* stack) {
  simdgroup.stack[lane] = stack;
  simdgroup.lane_operation[lane] = operation;
  simdgroup.parameter[lane] = parameter;
  if (simdgroup.waiting) {
    compare_operation(simdgroup, operation, stack);
  } else {
    note_operation(simdgroup, lane);
  }
  simdgroup.ready &= ~(1u << lane);
  simdgroup.waiting |= 1u << lane;
  return continue_after(worker, simdgroup, lane);
}

/// matrix_offset of every lane, to be looked up.
struct MatrixOffsets {
  uint8_t of_lane[abi::kSimdWidth] = {};
  constexpr MatrixOffsets() {
    for (uint32_t lane = 0; lane < abi::kSimdWidth; ++lane) {
      of_lane[lane] = static_cast<uint8_t>(matrix_offset(lane));
    }
  }
};
constexpr MatrixOffsets kMatrixOffsets;

/// Two numbers to two neighbouring places of a matrix.
inline void store_elements(float* place, abi::MatrixElements elements) {
  std::memcpy(place, &elements, sizeof elements);
}

} // namespace

void run_threads(Worker& worker) {
  worker.runnable = worker.simdgroup_count == Worker::kMaxSimdgroups ? ~0u : (1u << worker.simdgroup_count) - 1;
  worker.simdgroup = &worker.simdgroups[next_simdgroup(worker)];
  metalsim_enter();
}

} // namespace metalsim

using namespace metalsim;

Resume metalsim_post_matrix_product(uint32_t types, uint64_t, uint64_t, uint64_t, void* stack, abi::MatrixElements a,
                                    abi::MatrixElements b, abi::MatrixElements c) {
  Worker& worker = *current_worker;
  Simdgroup& simdgroup = *worker.simdgroup;
  const uint32_t lane = simdgroup.lane;
  const uint32_t offset = kMatrixOffsets.of_lane[lane];
  store_elements(simdgroup.matrices.a + offset, a);
  store_elements(simdgroup.matrices.b + offset, b);
  store_elements(simdgroup.matrices.c + offset, c);
  return wait(worker, simdgroup, lane, kMatrixProduct, types, stack);
}

Resume metalsim_post_collective(uint32_t op, uint64_t value, uint64_t fill, uint32_t parameter, void* stack) {
  Worker& worker = *current_worker;
  Simdgroup& simdgroup = *worker.simdgroup;
  const uint32_t lane = simdgroup.lane;
  simdgroup.value[lane] = value;
  simdgroup.fill[lane] = fill;
  return wait(worker, simdgroup, lane, op, parameter, stack);
}

Resume metalsim_post_simdgroup_barrier(uint32_t flags, uint64_t, uint64_t, uint64_t, void* stack) {
  Worker& worker = *current_worker;
  return wait(worker, *worker.simdgroup, worker.simdgroup->lane, kSimdgroupBarrier, flags, stack);
}

Resume metalsim_post_threadgroup_barrier(uint32_t flags, uint64_t, uint64_t, uint64_t, void* stack) {
  Worker& worker = *current_worker;
  Simdgroup& simdgroup = *worker.simdgroup;
  const uint32_t lane = simdgroup.lane;
  worker.barrier_flags = flags;
  simdgroup.stack[lane] = stack;
  simdgroup.ready &= ~(1u << lane);
  simdgroup.at_barrier |= 1u << lane;
  return continue_after(worker, simdgroup, lane);
}

Resume metalsim_post_thread_exit(uint64_t, uint64_t, uint64_t, uint64_t, void*) {
  Worker& worker = *current_worker;
  Simdgroup& simdgroup = *worker.simdgroup;
  const uint32_t lane = simdgroup.lane;
  const uint32_t bit = 1u << lane;
  simdgroup.ready &= ~bit;
  simdgroup.live &= ~bit;
  simdgroup.returned |= bit;
  return continue_after(worker, simdgroup, lane);
}

Resume metalsim_post_abandon(uint64_t, uint64_t, uint64_t, uint64_t, void*) {
  return {current_worker->main_stack, &current_worker->main_result};
}

Resume metalsim_post_enter(uint64_t, uint64_t, uint64_t, uint64_t, void* stack) {
  Worker& worker = *current_worker;
  worker.main_stack = stack;
  return resume(worker, *worker.simdgroup);
}
