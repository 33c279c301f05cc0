// When and where submissions run: the order of a queue, and the modes of METALSIM_EXECUTION.
#pragma once

#include "submission.h"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

namespace metalsim::metal {

/// The submissions of an MTLCommandQueue, which run one after the other. Thread-safe.
class ExecutionQueue : public std::enable_shared_from_this<ExecutionQueue> {
public:
  /// A queue that every_queue() knows.
  static std::shared_ptr<ExecutionQueue> create();

  /// Reserves the submission's place.
  void enqueue(const std::shared_ptr<Submission>& submission);
  /// Gives it a place, if it has none yet, and lets it run, at once or later.
  void commit(const std::shared_ptr<Submission>& submission);
  /// Returns when the submission has run and its handlers have been called; runs it where the mode says so.
  void wait_until_completed(const Submission& submission);
  void wait_until_scheduled(Submission& submission);
  /// Runs everything that is committed, whatever the mode, and returns when nothing of it is left.
  void run_committed();
  /// Runs one committed submission, if there is one that can run here and now.
  bool try_run_one();
  /// No more commits will come: ends the queue's thread after what was committed.
  void close();

private:
  using Lock = std::unique_lock<std::mutex>;

  bool is_ready() const;
  bool may_run_here() const;
  bool is_over_for_this_thread(const Submission& submission) const;
  void run_first(Lock& lock);
  void wait_for_change(Lock& lock, const char* call);
  void start_thread();
  void run_thread();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Submission>> places_; ///< enqueued or committed, not yet running
  bool is_running_ = false;
  bool is_calling_handlers_ = false; ///< of the submission that ran last
  std::thread::id runner_;           ///< while is_running_
  bool has_thread_ = false;
  bool is_closed_ = false;
};

/// Runs one committed submission of any queue, if there is one that can run here and now.
bool try_run_any();

/// To be called when the runtime has run its first dispatch: functions for the end of the process are called in
/// reverse, and what was committed must have ended before the runtime's own objects are destroyed.
void finish_before_destructors();

} // namespace metalsim::metal

extern "C" {
/// Runs what is committed on all queues, unless they have threads of their own: for what blocks without knowing the
/// command buffer that it waits for (a semaphore that a completed handler signals).
__attribute__((visibility("default"))) void metalsim_run_committed_work();
}
