// dispatch_once, semaphores, groups, dispatch_apply and dispatch_after.
#include "dispatch_time.h"
#include "queue.h"

#include <atomic>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace metalsim::foundation;

namespace {

constexpr dispatch_once_t kDone = ~dispatch_once_t{0};

/// The blocks of dispatch_once that run now, and who runs them.
struct RunningOnce {
  std::mutex mutex;
  std::condition_variable changed;
  std::unordered_map<dispatch_once_t*, std::thread::id> threads;
};

RunningOnce& running_once() {
  static auto* running = new RunningOnce;
  return *running;
}

void run_once(dispatch_once_t* predicate, const std::function<void()>& work) {
  const std::atomic_ref<dispatch_once_t> state(*predicate);
  if (state.load(std::memory_order_acquire) == kDone) {
    return;
  }
  RunningOnce& running = running_once();
  std::unique_lock lock(running.mutex);
  const auto found = running.threads.find(predicate);
  if (found != running.threads.end() && found->second == std::this_thread::get_id()) {
    throw std::runtime_error("dispatch_once called from its own block: a deadlock, libdispatch ends the process here");
  }
  running.changed.wait(lock, [&] { return !running.threads.contains(predicate); });
  if (state.load(std::memory_order_acquire) == kDone) {
    return;
  }
  running.threads[predicate] = std::this_thread::get_id();
  lock.unlock();
  const auto finish = [&](dispatch_once_t result) {
    const std::lock_guard guard(running.mutex);
    state.store(result, std::memory_order_release);
    running.threads.erase(predicate);
    running.changed.notify_all();
  };
  try {
    work();
  } catch (...) {
    finish(0);
    throw;
  }
  finish(kDone);
}

} // namespace

void dispatch_once(dispatch_once_t* predicate, DISPATCH_NOESCAPE dispatch_block_t block) {
  run_once(predicate, [block] { block(); });
}

void dispatch_once_f(dispatch_once_t* predicate, void* context, dispatch_function_t function) {
  run_once(predicate, [=] { function(context); });
}

@interface MetalsimSemaphore : NSObject <OS_dispatch_semaphore> {
@public
  std::mutex m_mutex;
  std::condition_variable m_changed;
  intptr_t m_value;
  intptr_t m_first_value;
}
@end

@implementation MetalsimSemaphore

- (void)dealloc {
  if (m_value < m_first_value) {
    fprintf(stderr,
            "metalsim: a semaphore was released with value %ld, less than the %ld it was made with, which ends "
            "the process on a Mac too: signal it as often as it is waited for\n",
            (long)m_value, (long)m_first_value);
    abort();
  }
  [super dealloc];
}

@end

dispatch_semaphore_t dispatch_semaphore_create(intptr_t value) {
  if (value < 0) {
    throw std::invalid_argument("dispatch_semaphore_create: value is " + std::to_string(value) +
                                ", it must not be negative");
  }
  MetalsimSemaphore* semaphore = [[MetalsimSemaphore alloc] init];
  semaphore->m_value = value;
  semaphore->m_first_value = value;
  return semaphore;
}

intptr_t dispatch_semaphore_wait(dispatch_semaphore_t object, dispatch_time_t timeout) {
  auto* semaphore = (MetalsimSemaphore*)object;
  std::unique_lock lock(semaphore->m_mutex);
  if (!wait_until(semaphore->m_changed, lock, timeout, [semaphore] { return semaphore->m_value > 0; })) {
    return 1;
  }
  --semaphore->m_value;
  return 0;
}

intptr_t dispatch_semaphore_signal(dispatch_semaphore_t object) {
  auto* semaphore = (MetalsimSemaphore*)object;
  const std::lock_guard lock(semaphore->m_mutex);
  ++semaphore->m_value;
  semaphore->m_changed.notify_one();
  return 0;
}

@interface MetalsimGroup : NSObject <OS_dispatch_group> {
@public
  std::mutex m_mutex;
  std::condition_variable m_changed;
  size_t m_entered;
  std::vector<std::function<void()>> m_when_empty;
}
@end

@implementation MetalsimGroup
@end

dispatch_group_t dispatch_group_create() {
  return [[MetalsimGroup alloc] init];
}

void dispatch_group_enter(dispatch_group_t object) {
  auto* group = (MetalsimGroup*)object;
  const std::lock_guard lock(group->m_mutex);
  ++group->m_entered;
}

void dispatch_group_leave(dispatch_group_t object) {
  auto* group = (MetalsimGroup*)object;
  std::vector<std::function<void()>> when_empty;
  {
    const std::lock_guard lock(group->m_mutex);
    if (group->m_entered == 0) {
      throw std::runtime_error("dispatch_group_leave: the group is empty; each leave must follow an enter");
    }
    if (--group->m_entered == 0) {
      when_empty.swap(group->m_when_empty);
      group->m_changed.notify_all();
    }
  }
  for (const auto& notify : when_empty) {
    notify();
  }
}

intptr_t dispatch_group_wait(dispatch_group_t object, dispatch_time_t timeout) {
  auto* group = (MetalsimGroup*)object;
  std::unique_lock lock(group->m_mutex);
  return wait_until(group->m_changed, lock, timeout, [group] { return group->m_entered == 0; }) ? 0 : 1;
}

void dispatch_group_async(dispatch_group_t group, dispatch_queue_t queue, dispatch_block_t block) {
  dispatch_group_enter(group);
  [group retain];
  run_async(queue, false, "dispatch_group_async", [group, work = owned(block)] {
    work();
    dispatch_group_leave(group);
    [group release];
  });
}

void dispatch_group_notify(dispatch_group_t object, dispatch_queue_t queue, dispatch_block_t block) {
  auto* group = (MetalsimGroup*)object;
  [queue retain];
  const std::function<void()> notify = [queue, work = owned(block)] {
    run_async(queue, false, "dispatch_group_notify", work);
    [queue release];
  };
  {
    const std::lock_guard lock(group->m_mutex);
    if (group->m_entered > 0) {
      group->m_when_empty.push_back(notify);
      return;
    }
  }
  notify();
}

namespace {

/// All iterations, on several threads, of which the caller's is one. The first exception is thrown again at the end.
void apply(size_t iterations, dispatch_queue_t queue, const std::function<void(size_t)>& work) {
  if (queue != nil) {
    auto* serial = (MetalsimQueue*)queue;
    check_no_deadlock(serial, serial->m_kind == QueueKind::serial, "dispatch_apply");
  }
  const bool is_serial = queue != nil && ((MetalsimQueue*)queue)->m_kind == QueueKind::serial;
  std::atomic<size_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;
  const auto run = [&] {
    @autoreleasepool {
      for (size_t index = next++; index < iterations; index = next++) {
        try {
          work(index);
        } catch (...) {
          const std::lock_guard lock(failure_mutex);
          failure = failure ? failure : std::current_exception();
        }
      }
    }
  };
  const size_t most = is_serial ? 1 : std::max(2u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (size_t count = 1; count < std::min(most, iterations); ++count) {
    threads.emplace_back(run);
  }
  run();
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

} // namespace

void dispatch_apply(size_t iterations, dispatch_queue_t queue, DISPATCH_NOESCAPE void (^block)(size_t iteration)) {
  apply(iterations, queue, [block](size_t index) { block(index); });
}

void dispatch_apply_f(size_t iterations, dispatch_queue_t queue, void* context, void (*work)(void*, size_t)) {
  apply(iterations, queue, [=](size_t index) { work(context, index); });
}

namespace {

void run_after(dispatch_time_t when, dispatch_queue_t queue, std::function<void()> work) {
  [queue retain];
  std::thread([when, queue, work = std::move(work)] {
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    wait_until(never, lock, when, [] { return false; });
    run_async(queue, false, "dispatch_after", work);
    [queue release];
  }).detach();
}

} // namespace

void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, dispatch_block_t block) {
  run_after(when, queue, owned(block));
}

void dispatch_after_f(dispatch_time_t when, dispatch_queue_t queue, void* context, dispatch_function_t work) {
  run_after(when, queue, [=] { work(context); });
}
