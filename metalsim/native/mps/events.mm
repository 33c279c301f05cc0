// at::mps::MPSEvent: points on torch's stream that the host can ask and wait for.
#pragma GCC visibility push(default)
#include <ATen/mps/MPSEvent.h>
#pragma GCC visibility pop

#include "interpreter.h"
#include "stream_control.h"

namespace at::mps {

namespace {

constexpr double kNanosecondsPerSecond = 1e9;

} // namespace

MPSEvent::MPSEvent(id_t number, MPSStream* stream, bool enable_timing)
    : m_id(number), m_enable_timing(enable_timing), m_stream(stream), m_event([stream->device() newSharedEvent]) {}

MPSEvent::~MPSEvent() {
  [m_event release];
  [m_listener release];
}

void MPSEvent::reset(MPSStream* stream, bool enable_timing) {
  m_stream = stream;
  // A new one: a signal of the earlier use that is still to come must not look like this use's.
  [m_event release];
  m_event = [stream->device() newSharedEvent];
  m_signalCounter = 0;
  m_enable_timing = enable_timing;
  m_completion_time = 0;
  m_cpu_sync_completed = false;
}

void MPSEvent::record(bool needs_lock, bool commits) {
  if (!needs_lock) {
    recordLocked(commits);
    return;
  }
  dispatch_sync_with_rethrow(m_stream->queue(), ^{
    @autoreleasepool {
      recordLocked(commits);
    }
  });
}

void MPSEvent::recordLocked(bool commits) {
  m_stream->endKernelCoalescing();
  ++m_signalCounter;
  if (m_enable_timing) {
    m_completion_time = 0;
    m_cpu_sync_completed = false;
    id<MTLSharedEvent> recorded = m_event;
    // Not by a listener of the event: it is called some time after the signal, on another thread.
    [m_stream->commandBuffer() addCompletedHandler:^(id<MTLCommandBuffer> buffer) {
      const bool is_of_earlier_use = recorded != m_event;
      if (!is_of_earlier_use) {
        m_completion_time = static_cast<uint64_t>([buffer GPUEndTime] * kNanosecondsPerSecond);
        notifyCpuSync();
      }
    }];
  }
  [m_stream->commandBuffer() encodeSignalEvent:m_event value:m_signalCounter];
  if (commits) {
    m_stream->synchronize(SyncType::COMMIT);
  }
}

bool MPSEvent::wait(bool needs_lock, bool commits) {
  if (!needs_lock) {
    return waitLocked(commits);
  }
  __block bool waits = false;
  dispatch_sync_with_rethrow(m_stream->queue(), ^{
    @autoreleasepool {
      waits = waitLocked(commits);
    }
  });
  return waits;
}

bool MPSEvent::waitLocked(bool commits) {
  if (m_event.signaledValue >= m_signalCounter) {
    return false;
  }
  m_stream->endKernelCoalescing();
  [m_stream->commandBuffer() encodeWaitForEvent:m_event value:m_signalCounter];
  if (commits) {
    m_stream->synchronize(SyncType::COMMIT);
  }
  return true;
}

bool MPSEvent::notify(bool needs_lock, MTLSharedEventNotificationBlock block) {
  if (!needs_lock) {
    return notifyLocked(block);
  }
  __block bool is_scheduled = false;
  dispatch_sync_with_rethrow(m_stream->queue(), ^{
    is_scheduled = notifyLocked(block);
  });
  return is_scheduled;
}

bool MPSEvent::notifyLocked(MTLSharedEventNotificationBlock block) {
  if (m_event.signaledValue >= m_signalCounter) {
    return false;
  }
  if (m_listener == nil) {
    m_listener = [[MTLSharedEventListener alloc] init];
  }
  m_cpu_sync_completed = false;
  [m_event notifyListener:m_listener atValue:m_signalCounter block:block];
  return true;
}

void MPSEvent::notifyCpuSync() {
  const std::lock_guard lock(m_cpu_sync_mutex);
  m_cpu_sync_completed = true;
  m_cpu_sync_cv.notify_all();
}

void MPSEvent::waitForCpuSync() {
  const bool is_notified = m_enable_timing && m_signalCounter != 0;
  if (!is_notified) {
    return;
  }
  const metalsim::mps::ReleasedInterpreter released;
  std::unique_lock lock(m_cpu_sync_mutex);
  m_cpu_sync_cv.wait(lock, [this] { return m_cpu_sync_completed; });
}

bool MPSEvent::synchronize() {
  if (m_event.signaledValue >= m_signalCounter) {
    return false;
  }
  metalsim::mps::synchronize();
  return true;
}

bool MPSEvent::query() const {
  return m_signalCounter == 0 || m_event.signaledValue >= m_signalCounter;
}

} // namespace at::mps
