// metalsim_dispatch: threads of the host take threadgroups off a counter until none is left.
#include "json.h"
#include "threadgroup_order.h"
#include "worker.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <immintrin.h>
#include <mutex>
#include <thread>

namespace metalsim {

namespace {

/// Of the work that threads of the host share.
struct Dispatch {
  explicit Dispatch(const Request& request) : request(request), grid(request) {}

  const Request& request;
  const Grid grid;
  std::atomic<uint64_t> next{0}; ///< threadgroup to be taken
  Findings findings;
  std::string counts = "null";
};

/// Apple's GPUs, as PyTorch and MLX have their kernels compiled, flush denormal numbers to zero.
class FlushedDenormals {
public:
  FlushedDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero); }
  ~FlushedDenormals() { _mm_setcsr(before_); }
  FlushedDenormals(const FlushedDenormals&) = delete;
  FlushedDenormals& operator=(const FlushedDenormals&) = delete;

private:
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kDenormalsAreZero = 0x0040;
  unsigned before_;
};

void take_threadgroups(Worker& worker, Dispatch& dispatch) {
  const FlushedDenormals flushed;
  const ThreadgroupOrder order(dispatch.request, dispatch.grid.count);
  for (;;) {
    const uint64_t taken = dispatch.next.fetch_add(1);
    if (taken >= dispatch.grid.count) {
      return;
    }
    if (!worker.run_threadgroup(dispatch.grid, order.at(taken))) {
      dispatch.next = dispatch.grid.count; // the others stop as well
      return;
    }
  }
}

/// The life of a thread of the host. It is not the caller's: whatever a kernel does to it ends with it.
void run_worker(Worker& worker, Dispatch& dispatch) {
  worker.begin_dispatch(dispatch.request, dispatch.findings);
  worker.faults.begin_thread(reinterpret_cast<const void*>(dispatch.request.kernel->run));
  current_worker = &worker;
  if (worker.observed) {
    observer::begin_dispatch(dispatch.request, dispatch.findings);
  }
  take_threadgroups(worker, dispatch);
  if (worker.faults.fault.signal) {
    report_fault(worker);
  }
  if (worker.observed) {
    dispatch.counts = observer::end_dispatch();
  }
  current_worker = nullptr;
  worker.faults.end_thread();
}

/// Workers are kept for the next dispatch, for their stacks' sake.
class WorkerPool {
public:
  std::mutex mutex; ///< held for a whole dispatch

  Worker& get(uint32_t index) {
    while (workers_.size() <= index) {
      workers_.push_back(std::make_unique<Worker>());
    }
    return *workers_[index];
  }

private:
  std::vector<std::unique_ptr<Worker>> workers_;
};

/// Never destroyed: at the end of the process a thread may still be running a dispatch.
WorkerPool& pool() {
  static auto* instance = new WorkerPool;
  return *instance;
}

uint32_t threads_per_threadgroup(const Request& request) {
  uint64_t threads = 1;
  for (uint32_t size : request.threads_per_threadgroup) {
    threads = std::min<uint64_t>(threads * size, abi::kMaxThreads + 1);
  }
  return static_cast<uint32_t>(threads);
}

uint32_t worker_count(const Dispatch& dispatch) {
  if (dispatch.request.mode & (kCheck | kCount)) {
    return 1;
  }
  // Every stack has a guard page, and Linux allows a process 65530 mappings by default: two for each stack.
  constexpr uint32_t kMaxStacks = 16384;
  const uint32_t limit = kMaxStacks / threads_per_threadgroup(dispatch.request);
  const uint32_t wanted = std::clamp<uint32_t>(dispatch.request.workers, 1, limit);
  return static_cast<uint32_t>(std::min<uint64_t>(wanted, dispatch.grid.count));
}

void run(Dispatch& dispatch) {
  if (dispatch.grid.count == 0) {
    return;
  }
  const std::lock_guard<std::mutex> lock(pool().mutex);
  const SignalHandlers handlers;
  std::vector<std::thread> threads;
  const uint32_t count = worker_count(dispatch);
  for (uint32_t index = 0; index < count; ++index) {
    threads.emplace_back(run_worker, std::ref(pool().get(index)), std::ref(dispatch));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

/// What makes a request impossible to run; empty if nothing does.
std::string refusal(const Request& request) {
  const uint32_t threads = threads_per_threadgroup(request);
  if (threads == 0) {
    return "threads_per_threadgroup is 0 along an axis; it must be at least 1";
  }
  if (threads > abi::kMaxThreads) {
    return "threads_per_threadgroup is more than " + std::to_string(abi::kMaxThreads) +
           " threads; use a smaller threadgroup";
  }
  if (request.schedule > static_cast<uint32_t>(Schedule::random)) {
    return "schedule is " + std::to_string(request.schedule) + "; it must be a value of metalsim::Schedule";
  }
  return "";
}

thread_local uint32_t finding_count = 0;

std::string dispatch_to_json(const Request& request) {
  finding_count = 0;
  json::Object result;
  const std::string reason = refusal(request);
  if (!reason.empty()) {
    result.add("seconds", "0");
    result.add("findings", "[]");
    result.add("counts", "null");
    result.add("error", json::string(reason));
    return result.text();
  }
  Dispatch dispatch(request);
  const auto start = std::chrono::steady_clock::now();
  run(dispatch);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  result.add("seconds", json::number(elapsed.count()));
  result.add("findings", dispatch.findings.json(request.kernel->name));
  finding_count = dispatch.findings.size();
  result.add("counts", dispatch.counts);
  return result.text();
}

} // namespace

} // namespace metalsim

extern "C" const char* metalsim_dispatch(const metalsim::Request* request) {
  static thread_local std::string result;
  result = metalsim::dispatch_to_json(*request);
  return result.c_str();
}

extern "C" uint32_t metalsim_finding_count() {
  return metalsim::finding_count;
}
