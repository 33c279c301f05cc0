// Prepares the threads of a threadgroup, and answers what a running thread asks about itself.
#include "worker.h"

namespace metalsim {

namespace {

uint32_t groups_of(uint32_t threads, uint32_t group) {
  return (threads + group - 1) / group;
}

uint64_t volume(const uint32_t size[3]) {
  return uint64_t{size[0]} * size[1] * size[2];
}

/// Where every fiber begins.
void run_kernel() {
  const Worker& worker = *current_worker;
  const Simdgroup& simdgroup = *worker.simdgroup;
  worker.request->kernel->run(&worker.contexts[simdgroup.first_thread + simdgroup.lane]);
  metalsim_thread_exit();
}

constexpr uint32_t kNoThread = ~uint32_t{0};

} // namespace

Grid::Grid(const Request& request) {
  for (int axis = 0; axis < 3; ++axis) {
    threadgroups[axis] = groups_of(request.threads_per_grid[axis], request.threads_per_threadgroup[axis]);
  }
  count = volume(threadgroups);
}

void Grid::position_of(uint64_t number, uint32_t threadgroup[3]) const {
  threadgroup[0] = static_cast<uint32_t>(number % threadgroups[0]);
  threadgroup[1] = static_cast<uint32_t>(number / threadgroups[0] % threadgroups[1]);
  threadgroup[2] = static_cast<uint32_t>(number / threadgroups[0] / threadgroups[1]);
}

Worker::Worker() : simdgroups(std::make_unique<Simdgroup[]>(kMaxSimdgroups)) {}

void Worker::begin_dispatch(const Request& new_request, Findings& new_findings) {
  request = &new_request;
  findings = &new_findings;
  descending = request->schedule == static_cast<uint32_t>(Schedule::reversed);
  random = request->schedule == static_cast<uint32_t>(Schedule::random);
  observed = request->mode & (kCheck | kCount);
  check = request->mode & kCheck;
  memory.begin_dispatch(*request);

  const uint32_t threads = static_cast<uint32_t>(volume(request->threads_per_threadgroup));
  stacks.reserve(threads);
  positions.assign(threads, {});
  contexts.assign(threads, {});
  for (uint32_t thread = 0; thread < threads; ++thread) {
    abi::Context& context = contexts[thread];
    context.position = &positions[thread];
    for (uint32_t index = 0; index < abi::kMaxBindings; ++index) {
      void* buffer = request->buffers[index].address;
      context.buffers[index] = buffer ? buffer : unbound_buffer(index);
      context.threadgroup_memory[index] = memory.argument(index);
    }
  }
  simdgroup = &simdgroups[0];
  simdgroup->lane = 0;
  faults.fault = {};
  faults.abandoned = false;
  running = {};
  running.request = request;
  running.thread = kNoThread;
  running.threadgroup_memory = memory.address();
  running.threadgroup_memory_size = memory.capacity();
}

void Worker::start_simdgroup(uint32_t index, uint32_t threads) {
  Simdgroup& started = simdgroups[index];
  started.index = index;
  started.first_thread = index * abi::kSimdWidth;
  const uint32_t lanes = threads - started.first_thread;
  started.all = lanes >= abi::kSimdWidth ? kAllLanes : (1u << lanes) - 1;
  started.ready = started.live = started.all;
  started.waiting = started.at_barrier = started.returned = 0;
  started.start = random ? kAllLanes << draw(*this) % abi::kSimdWidth : kAllLanes;
  started.lane = 0;
  started.mismatch = false;
  for (uint32_t lane = 0; lane < lanes && lane < abi::kSimdWidth; ++lane) {
    started.stack[lane] = stacks.prepare(started.first_thread + lane, run_kernel);
  }
}

void Worker::place_threads(const Grid& grid, uint64_t number) {
  abi::Position common = {};
  grid.position_of(number, common.threadgroup_in_grid);
  uint32_t first[3];
  for (int axis = 0; axis < 3; ++axis) {
    const uint32_t full = request->threads_per_threadgroup[axis];
    first[axis] = common.threadgroup_in_grid[axis] * full;
    const uint32_t left = request->threads_per_grid[axis] - first[axis];
    common.threads_per_grid[axis] = request->threads_per_grid[axis];
    common.threadgroups_per_grid[axis] = grid.threadgroups[axis];
    common.threads_per_threadgroup[axis] = left < full ? left : full;
    common.dispatch_threads_per_threadgroup[axis] = full;
  }
  const uint32_t* size = common.threads_per_threadgroup;
  const uint32_t threads = static_cast<uint32_t>(volume(size));
  simdgroup_count = groups_of(threads, abi::kSimdWidth);
  common.simdgroups_per_threadgroup = simdgroup_count;
  common.dispatch_simdgroups_per_threadgroup =
      groups_of(static_cast<uint32_t>(volume(request->threads_per_threadgroup)), abi::kSimdWidth);

  for (uint32_t thread = 0; thread < threads; ++thread) {
    abi::Position& position = positions[thread];
    position = common;
    const uint32_t place[3] = {thread % size[0], thread / size[0] % size[1], thread / size[0] / size[1]};
    for (int axis = 0; axis < 3; ++axis) {
      position.thread_in_threadgroup[axis] = place[axis];
      position.thread_in_grid[axis] = first[axis] + place[axis];
    }
    position.thread_index_in_threadgroup = thread;
    position.thread_index_in_simdgroup = thread % abi::kSimdWidth;
    position.simdgroup_index_in_threadgroup = thread / abi::kSimdWidth;
  }
  for (uint32_t index = 0; index < simdgroup_count; ++index) {
    start_simdgroup(index, threads);
  }
}

bool Worker::run_threadgroup(const Grid& grid, uint64_t number) {
  // The same for every thread of the host that gets this threadgroup; the first draw mixes the two.
  random_state = request->seed ^ number * 0xd1342543de82ef95;
  random_state = draw(*this);
  place_threads(grid, number);
  running.threadgroup_number = number;
  running.thread = kNoThread;
  simdgroup = &simdgroups[0];
  if (observed) {
    const uint32_t* size = positions[0].threads_per_threadgroup;
    observer::begin_threadgroup(number, static_cast<uint32_t>(volume(size)));
  }
  memory.begin_threadgroup(*request, observed);
  faults.in_kernel = true;
  run_threads(*this);
  faults.in_kernel = false;
  if (faults.fault.signal || faults.abandoned) {
    return false;
  }
  if (observed) {
    observer::end_threadgroup();
  }
  return true;
}

const Running& Worker::update_running() {
  const uint32_t thread = simdgroup->first_thread + simdgroup->lane;
  if (running.thread != thread) {
    running.position = &positions[thread];
    running.thread = thread;
    running.simdgroup = simdgroup->index;
    running.lane = simdgroup->lane;
    running.stack_begin = stacks.begin(thread);
    running.stack_end = stacks.end(thread);
  }
  return running;
}

const Running* running() {
  Worker* worker = current_worker;
  return worker ? &worker->update_running() : nullptr;
}

} // namespace metalsim

// What kernels import. Declared under other names than in abi.h, where they are `const` functions for the kernels'
// sake: here they have memory to read and to write.
namespace metalsim {
extern "C" {
void* buffer_entry(const abi::Context* context, uint32_t index) __asm__("metalsim_buffer");
void* threadgroup_variable_entry(uint32_t id, uint64_t size, uint64_t alignment,
                                 const char* name) __asm__("metalsim_threadgroup_variable");
const abi::Position* position_entry() __asm__("metalsim_position");

void* buffer_entry(const abi::Context* context, uint32_t index) {
  return context->buffers[index];
}

void* threadgroup_variable_entry(uint32_t id, uint64_t size, uint64_t alignment, const char* name) {
  Worker& worker = *current_worker;
  void* variable = worker.memory.variable(id, size, alignment, name, worker.observed);
  if (!variable) {
    abandon_threadgroup(worker,
                        "the kernel's threadgroup variables need more than twice the 32768 bytes that there are",
                        __builtin_return_address(0));
  }
  return variable;
}

const abi::Position* position_entry() {
  const Worker& worker = *current_worker;
  return &worker.positions[worker.simdgroup->first_thread + worker.simdgroup->lane];
}
}
} // namespace metalsim
