// Which operator of torch runs on this thread: what a finding in a kernel is reported against.
#include "../metal/compiler.h"

#include <ATen/record_function.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace metalsim::mps {

namespace {

std::atomic<uint64_t> calls = 0;

/// The operators that run on this thread, innermost last. What began before tracking was switched on is not here.
thread_local std::vector<metal::OperatorCall> running;

metal::OperatorCall innermost() {
  return running.empty() ? metal::OperatorCall{} : running.back();
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  running.push_back({++calls, function.name()});
  return nullptr;
}

void end(const at::RecordFunction&, at::ObserverContext*) {
  if (!running.empty()) {
    running.pop_back();
  }
}

} // namespace

} // namespace metalsim::mps

extern "C" {
/// Switches the tracking of operators on or off, for all threads; it costs every operator about a microsecond.
METALSIM_PUBLIC void metalsim_track_operators(bool track) {
  static std::mutex mutex;
  static at::CallbackHandle handle = at::INVALID_CALLBACK_HANDLE;
  const std::lock_guard lock(mutex);
  const bool is_tracking = handle != at::INVALID_CALLBACK_HANDLE;
  if (track && !is_tracking) {
    at::RecordFunctionCallback callback(metalsim::mps::begin, metalsim::mps::end);
    handle = at::addGlobalCallback(callback.scopes({at::RecordScope::FUNCTION}));
    metalsim::metal::set_operator_source(metalsim::mps::innermost);
  } else if (!track && is_tracking) {
    metalsim::metal::set_operator_source(nullptr);
    at::removeCallback(handle);
    handle = at::INVALID_CALLBACK_HANDLE;
  }
}
}
