// What a dispatch queue is inside: blocks in order, some of which exclude all others.
#pragma once

#import <Foundation/Foundation.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace metalsim::foundation {

enum class QueueKind { serial, concurrent, main };

/// The order in which blocks of a queue run. A block starts once all before it have started and, if it or the one that
/// runs is exclusive, have ended. All blocks of a serial queue are exclusive; barriers are, on a concurrent one.
/// Outlives the queue while a worker still empties it.
class QueueOrder : public std::enable_shared_from_this<QueueOrder> {
public:
  explicit QueueOrder(size_t most_workers) : m_most_workers(most_workers) {}

  /// Waits for the block's turn. end() must follow.
  void begin(bool is_exclusive);
  void end(bool is_exclusive);
  /// Lets a worker run it.
  void add(std::function<void()> work, bool is_exclusive);
  /// No more will be added: workers stop when nothing is left.
  void close();

private:
  struct Entry {
    std::function<void()> work; ///< empty: a thread waits for its turn in begin()
    bool is_exclusive;
  };

  bool may_start(bool is_exclusive) const { return is_exclusive ? m_running == 0 : !m_is_exclusive_running; }
  void start(bool is_exclusive);
  void work_until_closed();

  const size_t m_most_workers;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  std::deque<Entry*> m_waiting;
  size_t m_running = 0;
  bool m_is_exclusive_running = false;
  bool m_is_closed = false;
  size_t m_workers = 0;
  size_t m_idle_workers = 0;
};

} // namespace metalsim::foundation

@interface MetalsimQueue : NSObject <OS_dispatch_queue> {
@public
  metalsim::foundation::QueueKind m_kind;
  std::string m_label;
  std::shared_ptr<metalsim::foundation::QueueOrder> m_order;
  std::mutex m_specifics_mutex;
  std::unordered_map<const void*, std::pair<void*, dispatch_function_t>> m_specifics;
}
@end

namespace metalsim::foundation {

/// The innermost queue whose block runs on this thread, or nil.
MetalsimQueue* current_queue();
/// Throws std::runtime_error if the thread holds the queue: to wait for it would be a deadlock.
void check_no_deadlock(MetalsimQueue* queue, bool is_exclusive, const char* call);
void run_sync(dispatch_queue_t queue, bool is_barrier, const char* call, const std::function<void()>& work);
void run_async(dispatch_queue_t queue, bool is_barrier, const char* call, std::function<void()> work);
/// A copy of the block that a std::function owns.
std::function<void()> owned(dispatch_block_t block);

} // namespace metalsim::foundation
