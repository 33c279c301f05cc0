#include "execution.h"

#include "settings.h"
#include "statistics.h"
#include "unattended.h"
#include "validation.h"

#include <chrono>
#include <cstdlib>
#include <vector>

namespace metalsim::metal {

namespace {

/// Never destroyed: threads of queues may outlive the destructors of static objects.
struct Queues {
  std::mutex mutex;
  std::vector<std::weak_ptr<ExecutionQueue>> all;
};

Queues& queues() {
  static Queues* const instance = new Queues;
  return *instance;
}

std::vector<std::shared_ptr<ExecutionQueue>> every_queue() {
  const std::lock_guard<std::mutex> lock(queues().mutex);
  std::vector<std::shared_ptr<ExecutionQueue>> live;
  for (const std::weak_ptr<ExecutionQueue>& queue : queues().all) {
    if (std::shared_ptr<ExecutionQueue> locked = queue.lock()) {
      live.push_back(std::move(locked));
    }
  }
  return live;
}

/// Lets what was committed to queues with threads end.
void finish_threads() {
  for (const std::shared_ptr<ExecutionQueue>& queue : every_queue()) {
    queue->run_committed();
  }
}

/// How long a queue waits for an enqueued command buffer that nobody commits.
constexpr std::chrono::seconds kCommitPatience(5);

} // namespace

std::shared_ptr<ExecutionQueue> ExecutionQueue::create() {
  const std::shared_ptr<ExecutionQueue> queue = std::make_shared<ExecutionQueue>();
  const std::lock_guard<std::mutex> lock(queues().mutex);
  std::erase_if(queues().all, [](const std::weak_ptr<ExecutionQueue>& other) { return other.expired(); });
  queues().all.push_back(queue);
  return queue;
}

void ExecutionQueue::enqueue(const std::shared_ptr<Submission>& submission) {
  const Lock lock(mutex_);
  submission->set_stage(Submission::Stage::enqueued);
  places_.push_back(submission);
}

void ExecutionQueue::commit(const std::shared_ptr<Submission>& submission) {
  ++statistics.command_buffers;
  const Execution execution = settings().execution;
  {
    const Lock lock(mutex_);
    if (submission->stage() == Submission::Stage::not_enqueued) {
      places_.push_back(submission);
    }
    submission->set_stage(Submission::Stage::committed);
    if (execution == Execution::thread) {
      start_thread();
    }
  }
  changed_.notify_all();
  if (execution == Execution::commit || execution == Execution::eager) {
    while (try_run_one()) {
    }
  } else if (execution == Execution::deferred && submission->has_observers) {
    run_if_unattended(weak_from_this(), submission);
  }
}

bool ExecutionQueue::is_ready() const {
  return !places_.empty() && places_.front()->stage() == Submission::Stage::committed;
}

bool ExecutionQueue::may_run_here() const {
  return !is_running_ || (is_calling_handlers_ && runner_ == std::this_thread::get_id());
}

bool ExecutionQueue::is_over_for_this_thread(const Submission& submission) const {
  return submission.are_handlers_done ||
         (submission.is_finished() && submission.handler_thread == std::this_thread::get_id());
}

void ExecutionQueue::run_first(Lock& lock) {
  const std::shared_ptr<Submission> submission = places_.front();
  places_.pop_front();
  const bool was_running = std::exchange(is_running_, true); // when a handler waits for a later submission
  runner_ = std::this_thread::get_id();
  is_calling_handlers_ = false;
  submission->set_stage(Submission::Stage::scheduled);
  lock.unlock();
  submission->schedule();
  submission->execute();
  lock.lock();
  submission->handler_thread = runner_;
  submission->set_stage(submission->has_failed() ? Submission::Stage::failed : Submission::Stage::completed);
  is_calling_handlers_ = true;
  lock.unlock();
  changed_.notify_all();
  submission->call_completed_handlers();
  lock.lock();
  submission->are_handlers_done = true;
  is_running_ = is_calling_handlers_ = was_running;
  changed_.notify_all();
}

void ExecutionQueue::wait_for_change(Lock& lock, const char* call) {
  const bool is_blocked = !is_running_ && !places_.empty() && !is_ready();
  if (!is_blocked) {
    changed_.wait(lock);
  } else if (changed_.wait_for(lock, kCommitPatience) == std::cv_status::timeout && !is_running_ && !is_ready()) {
    refuse(std::string(call) + " waits behind a command buffer that was enqueued and not committed within 5 seconds; "
                               "commit command buffers in the order in which they were enqueued");
  }
}

void ExecutionQueue::wait_until_completed(const Submission& submission) {
  Lock lock(mutex_);
  const bool has_thread = settings().execution == Execution::thread;
  while (!is_over_for_this_thread(submission)) {
    const bool is_in_handler = is_running_ && runner_ == std::this_thread::get_id();
    if (is_ready() && may_run_here() && (!has_thread || is_in_handler)) {
      run_first(lock);
    } else {
      wait_for_change(lock, "-[MTLCommandBuffer waitUntilCompleted]");
    }
  }
}

void ExecutionQueue::wait_until_scheduled(Submission& submission) {
  if (settings().execution != Execution::thread) {
    submission.schedule();
    return;
  }
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return submission.stage() >= Submission::Stage::scheduled; });
}

void ExecutionQueue::run_committed() {
  Lock lock(mutex_);
  while (is_ready() || is_running_) {
    if (is_running_ && runner_ == std::this_thread::get_id()) {
      return; // a handler asks, and what was committed before it has run
    }
    if (is_ready() && may_run_here()) {
      run_first(lock);
    } else {
      changed_.wait(lock);
    }
  }
}

bool ExecutionQueue::try_run_one() {
  Lock lock(mutex_);
  if (!is_ready() || !may_run_here()) {
    return false;
  }
  run_first(lock);
  return true;
}

void ExecutionQueue::close() {
  const Lock lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

void ExecutionQueue::start_thread() {
  if (has_thread_) {
    return;
  }
  static const int registered = std::atexit(finish_threads);
  static_cast<void>(registered);
  has_thread_ = true;
  std::thread([queue = shared_from_this()] { queue->run_thread(); }).detach();
}

void ExecutionQueue::run_thread() {
  Lock lock(mutex_);
  while (!is_closed_ || !places_.empty()) {
    if (is_ready() && may_run_here()) {
      run_first(lock);
    } else {
      changed_.wait(lock);
    }
  }
}

void finish_before_destructors() {
  static const int registered = settings().execution == Execution::thread ? std::atexit(finish_threads) : 0;
  static_cast<void>(registered);
}

bool try_run_any() {
  for (const std::shared_ptr<ExecutionQueue>& queue : every_queue()) {
    if (queue->try_run_one()) {
      return true;
    }
  }
  return false;
}

} // namespace metalsim::metal

void metalsim_run_committed_work() {
  using namespace metalsim::metal;
  if (settings().execution != Execution::thread) {
    while (try_run_any()) {
    }
  }
}
