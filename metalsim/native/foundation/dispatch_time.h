#pragma once

#include <chrono>
#include <condition_variable>
#include <dispatch/time.h>
#include <mutex>

namespace metalsim::foundation {

/// Waits until the condition holds, or the time has come. Returns whether it holds.
template <typename Condition>
bool wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, dispatch_time_t time,
                Condition holds) {
  if (time == DISPATCH_TIME_FOREVER) {
    changed.wait(lock, holds);
    return true;
  }
  // A dispatch_time_t counts nanoseconds of the steady clock; DISPATCH_TIME_NOW is long past.
  const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(static_cast<int64_t>(time))};
  return changed.wait_until(lock, deadline, holds);
}

} // namespace metalsim::foundation
