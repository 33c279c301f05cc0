// The value of an event, and who waits for it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

namespace metalsim::metal {

/// Thread-safe.
class EventState {
public:
  /// Called once, with the value that released it, on the thread that signals.
  using Listener = std::function<void(uint64_t value)>;

  uint64_t value() const;
  /// The same for the host, which waits if it asks again and again: see polls.h.
  uint64_t poll();
  void signal(uint64_t value);
  /// Calls the listener when the value is at least `value`, now or later.
  void notify(uint64_t value, Listener listener);

  /// Waits as the GPU does: the work of other queues goes on. Throws ExecutionFailed if nobody signals.
  void wait_on_gpu(uint64_t value);
  /// Waits as the host does; false if the time has passed first.
  bool wait_on_host(uint64_t value, uint64_t milliseconds);

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t value_ = 0;
  uint32_t polls_ = 0;
  std::multimap<uint64_t, Listener> listeners_;
};

} // namespace metalsim::metal
