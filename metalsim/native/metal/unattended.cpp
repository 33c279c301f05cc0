#include "unattended.h"

#include <chrono>

namespace metalsim::metal {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kTimeToWait(2);

struct Entry {
  Clock::time_point due;
  std::weak_ptr<ExecutionQueue> queue;
  std::weak_ptr<Submission> submission;
};

class Watch {
public:
  void add(Entry entry) {
    const std::lock_guard<std::mutex> lock(mutex_);
    entries_.push_back(std::move(entry));
    if (!is_started_) {
      is_started_ = true;
      std::thread([this] { run(); }).detach();
    }
    added_.notify_one();
  }

private:
  [[noreturn]] void run() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      added_.wait(lock, [this] { return !entries_.empty(); });
      const Entry entry = std::move(entries_.front());
      entries_.pop_front();
      lock.unlock();
      std::this_thread::sleep_until(entry.due);
      look_after(entry);
      lock.lock();
    }
  }

  static void look_after(const Entry& entry) {
    const std::shared_ptr<ExecutionQueue> queue = entry.queue.lock();
    const std::shared_ptr<Submission> submission = entry.submission.lock();
    while (queue && submission && !submission->is_finished() && queue->try_run_one()) {
    }
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<Entry> entries_; ///< in the order of their times
  bool is_started_ = false;
};

} // namespace

void run_if_unattended(std::weak_ptr<ExecutionQueue> queue, std::weak_ptr<Submission> submission) {
  static Watch* const watch = new Watch; // never destroyed: its thread does not end
  watch->add({Clock::now() + kTimeToWait, std::move(queue), std::move(submission)});
}

} // namespace metalsim::metal
