// One host thread and everything it needs to run threadgroups: nothing of it is shared.
#pragma once

#include "faults.h"
#include "observer.h"
#include "simdgroup.h"
#include "threadgroup_memory.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace metalsim {

/// A dispatch as threadgroups: x varies fastest.
struct Grid {
  explicit Grid(const Request& request);
  /// Coordinates of a threadgroup by its linear index.
  void position_of(uint64_t number, uint32_t threadgroup[3]) const;

  uint32_t threadgroups[3];
  uint64_t count;
};

struct Worker {
  static constexpr uint32_t kMaxSimdgroups = abi::kMaxThreads / abi::kSimdWidth;

  // What the posts read at every switch.
  Simdgroup* simdgroup; ///< of the running thread
  uint32_t runnable;    ///< simdgroups with a ready lane
  bool descending;      ///< Schedule::reversed
  bool random;          ///< Schedule::random
  bool observed;        ///< kCheck or kCount
  bool check;           ///< kCheck
  uint32_t barrier_flags;
  uint32_t simdgroup_count;
  uint64_t random_state;
  void* main_stack; ///< of the call of metalsim_enter
  Result main_result;

  std::unique_ptr<Simdgroup[]> simdgroups; ///< kMaxSimdgroups
  std::vector<abi::Position> positions;    ///< by thread
  std::vector<abi::Context> contexts;      ///< by thread
  FiberStacks stacks;
  ThreadgroupMemory memory;

  const Request* request;
  Findings* findings;
  Running running; ///< of the thread that was running when it was asked for last
  FaultHandling faults;

  Worker();
  void begin_dispatch(const Request& request, Findings& findings);
  /// False if a fault ended it.
  bool run_threadgroup(const Grid& grid, uint64_t number);
  const Running& update_running();

private:
  void place_threads(const Grid& grid, uint64_t number);
  void start_simdgroup(uint32_t index, uint32_t threads);
};

/// Of the calling host thread. The library is loaded before the threads that use it exist, and the variable is small:
/// the fixed place of the initial-exec model saves a call at every switch (and `__thread`, which thread_local is not,
/// says that nothing has to be constructed first).
extern __thread Worker* current_worker __attribute__((tls_model("initial-exec"), visibility("hidden")));

/// Runs the threads of the worker's threadgroup until the last has returned (scheduler.cpp).
void run_threads(Worker& worker);
/// Draws from the worker's own sequence.
uint64_t draw(Worker& worker);

} // namespace metalsim
