// at::mps::MPSEventPool: events by number for torch.mps.Event, and unnumbered ones for C++.
#pragma GCC visibility push(default)
#include <ATen/mps/MPSEvent.h>
#pragma GCC visibility pop

#include "stream_control.h"

namespace at::mps {

namespace {

constexpr double kMillisecondsPerNanosecond = 1e-6;

} // namespace

MPSEventPool::MPSEventPool(MPSStream* default_stream) : m_default_stream(default_stream) {
  m_default_deleter = [this](MPSEvent* event) {
    const std::lock_guard lock(m_mutex);
    m_pool.push(std::unique_ptr<MPSEvent>(event));
  };
}

MPSEventPool::~MPSEventPool() {
  m_in_use_events.clear();
  emptyCache();
}

void MPSEventPool::emptyCache() {
  const std::lock_guard lock(m_mutex);
  while (!m_pool.empty()) {
    m_pool.pop();
  }
}

MPSEventPtr MPSEventPool::acquireEvent(bool enable_timing, MPSStream* stream) {
  stream = stream == nullptr ? m_default_stream : stream;
  const std::lock_guard lock(m_mutex);
  if (m_pool.empty()) {
    return MPSEventPtr(new MPSEvent(++m_event_counter, stream, enable_timing), m_default_deleter);
  }
  MPSEvent* const event = m_pool.top().release();
  m_pool.pop();
  event->reset(stream, enable_timing);
  return MPSEventPtr(event, m_default_deleter);
}

id_t MPSEventPool::acquireEvent(bool enable_timing) {
  const std::lock_guard lock(m_mutex);
  MPSEventPtr event = acquireEvent(enable_timing, nullptr);
  const id_t number = event->getID();
  m_in_use_events.emplace(number, std::move(event));
  return number;
}

void MPSEventPool::releaseEvent(id_t number) {
  const std::lock_guard lock(m_mutex);
  getInUseEvent(number, /*locked=*/false);
  m_in_use_events.erase(number);
}

MPSEvent* MPSEventPool::getInUseEvent(id_t number, bool locked) {
  std::unique_lock lock(m_mutex, std::defer_lock);
  if (locked) {
    lock.lock();
  }
  const auto found = m_in_use_events.find(number);
  TORCH_CHECK(found != m_in_use_events.end(), "Invalid Event ID: ", number,
              "; it must be one that acquireEvent returned and that is not released");
  return found->second.get();
}

void MPSEventPool::recordEvent(id_t number, bool commits) {
  getInUseEvent(number)->record(/*needsLock=*/true, commits);
}

void MPSEventPool::waitForEvent(id_t number, bool commits) {
  getInUseEvent(number)->wait(/*needsLock=*/true, commits);
}

void MPSEventPool::synchronizeEvent(id_t number) {
  getInUseEvent(number)->synchronize();
}

bool MPSEventPool::queryEvent(id_t number) {
  return getInUseEvent(number)->query();
}

double MPSEventPool::elapsedTime(id_t start_number, id_t end_number) {
  metalsim::mps::synchronize();
  MPSEvent* const start = getInUseEvent(start_number);
  MPSEvent* const end = getInUseEvent(end_number);
  start->waitForCpuSync();
  end->waitForCpuSync();
  const uint64_t started = start->getCompletionTime();
  const uint64_t ended = end->getCompletionTime();
  TORCH_CHECK(started != 0 && ended != 0, "Event ", started == 0 ? start_number : end_number,
              " has no time: create both events with enable_timing=True and record them");
  return (static_cast<double>(ended) - static_cast<double>(started)) * kMillisecondsPerNanosecond;
}

METALSIM_PUBLIC std::shared_ptr<MPSEventPool> getMPSEventPool() {
  // Kept for the process: events in static variables come back to it late.
  static const auto* const pool = new std::shared_ptr<MPSEventPool>(new MPSEventPool(getDefaultMPSStream()));
  return *pool;
}

} // namespace at::mps
