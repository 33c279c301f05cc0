#include "event_state.h"

#include "execution.h"
#include "polls.h"
#include "validation.h"

#include <chrono>
#include <vector>

namespace metalsim::metal {

namespace {

using Clock = std::chrono::steady_clock;

/// A GPU gives up after some seconds, too.
constexpr std::chrono::seconds kEventPatience(5);
/// How often a wait looks for work of other queues that has come meanwhile.
constexpr std::chrono::milliseconds kLook(2);

} // namespace

uint64_t EventState::value() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return value_;
}

uint64_t EventState::poll() {
  bool is_waiting = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_waiting = ++polls_ % kPollsOfOneWait == 0;
  }
  if (is_waiting) {
    metalsim_run_committed_work();
  }
  return value();
}

void EventState::signal(uint64_t value) {
  std::vector<Listener> released;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    value_ = value;
    const auto end = listeners_.upper_bound(value);
    for (auto listener = listeners_.begin(); listener != end; ++listener) {
      released.push_back(std::move(listener->second));
    }
    listeners_.erase(listeners_.begin(), end);
  }
  changed_.notify_all();
  for (const Listener& listener : released) {
    listener(value);
  }
}

void EventState::notify(uint64_t value, Listener listener) {
  uint64_t now = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    now = value_;
    if (now < value) {
      listeners_.emplace(value, std::move(listener));
      return;
    }
  }
  listener(now);
}

void EventState::wait_on_gpu(uint64_t value) {
  const Clock::time_point deadline = Clock::now() + kEventPatience;
  std::unique_lock<std::mutex> lock(mutex_);
  while (value_ < value) {
    lock.unlock();
    const bool has_run = try_run_any();
    lock.lock();
    if (has_run || changed_.wait_for(lock, kLook, [&] { return value_ >= value; })) {
      continue;
    }
    if (Clock::now() >= deadline) {
      throw ExecutionFailed(ExecutionFailed::Code::timeout,
                            "a command buffer waited 5 seconds for an event to reach " + text(value) +
                                ", but it is at " + text(value_) +
                                "; commit the command buffer that signals it, or signal it on the host");
    }
  }
}

bool EventState::wait_on_host(uint64_t value, uint64_t milliseconds) {
  metalsim_run_committed_work();
  const auto limit = std::chrono::milliseconds(std::min<uint64_t>(milliseconds, uint64_t{1} << 40));
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return value_ >= value; });
}

} // namespace metalsim::metal
