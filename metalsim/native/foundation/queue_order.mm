#include "queue.h"

#include <thread>

namespace metalsim::foundation {

void QueueOrder::start(bool is_exclusive) {
  ++m_running;
  m_is_exclusive_running = is_exclusive;
}

void QueueOrder::begin(bool is_exclusive) {
  std::unique_lock lock(m_mutex);
  if (m_waiting.empty() && may_start(is_exclusive)) {
    start(is_exclusive);
    return;
  }
  Entry turn{.work = nullptr, .is_exclusive = is_exclusive};
  m_waiting.push_back(&turn);
  m_changed.wait(lock, [&] { return m_waiting.front() == &turn && may_start(is_exclusive); });
  m_waiting.pop_front();
  start(is_exclusive);
  m_changed.notify_all(); // the next one may be able to start beside this one
}

void QueueOrder::end(bool is_exclusive) {
  const std::lock_guard lock(m_mutex);
  --m_running;
  if (is_exclusive) {
    m_is_exclusive_running = false;
  }
  if (!m_waiting.empty()) {
    m_changed.notify_all();
  }
}

void QueueOrder::add(std::function<void()> work, bool is_exclusive) {
  const std::lock_guard lock(m_mutex);
  m_waiting.push_back(new Entry{.work = std::move(work), .is_exclusive = is_exclusive});
  if (m_idle_workers == 0 && m_workers < m_most_workers) {
    ++m_workers;
    std::thread([order = shared_from_this()] { order->work_until_closed(); }).detach();
  } else {
    m_changed.notify_all();
  }
}

void QueueOrder::close() {
  const std::lock_guard lock(m_mutex);
  m_is_closed = true;
  m_changed.notify_all();
}

void QueueOrder::work_until_closed() {
  std::unique_lock lock(m_mutex);
  while (true) {
    const auto can_work = [this] {
      return !m_waiting.empty() && m_waiting.front()->work && may_start(m_waiting.front()->is_exclusive);
    };
    ++m_idle_workers;
    m_changed.wait(lock, [&] { return can_work() || (m_is_closed && m_waiting.empty()); });
    --m_idle_workers;
    if (!can_work()) {
      --m_workers;
      return;
    }
    std::unique_ptr<Entry> entry(m_waiting.front());
    m_waiting.pop_front();
    start(entry->is_exclusive);
    m_changed.notify_all();
    lock.unlock();
    @autoreleasepool {
      entry->work(); // an exception ends the process, as it does on a Mac
    }
    const bool is_exclusive = entry->is_exclusive;
    entry.reset();
    end(is_exclusive);
    lock.lock();
  }
}

} // namespace metalsim::foundation
