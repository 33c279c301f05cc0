// Dispatch queues.
#include "queue.h"

#include "queue_attributes.h"
#include <Block.h>

#include <stdexcept>
#include <thread>

#undef dispatch_retain
#undef dispatch_release

namespace metalsim::foundation {

namespace {

/// A block that runs on this thread, and the ones around it.
struct Frame {
  MetalsimQueue* queue;
  bool is_exclusive;
  Frame* outer;
};

thread_local Frame* innermost = nullptr;

class Running {
public:
  Running(MetalsimQueue* queue, bool is_exclusive) : m_frame{queue, is_exclusive, innermost} { innermost = &m_frame; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { innermost = m_frame.outer; }

private:
  Frame m_frame;
};

/// The order's turn, given back also when the block throws.
class Turn {
public:
  Turn(QueueOrder& order, bool is_exclusive) : m_order(order), m_is_exclusive(is_exclusive) {
    m_order.begin(is_exclusive);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { m_order.end(m_is_exclusive); }

private:
  QueueOrder& m_order;
  const bool m_is_exclusive;
};

void refuse_main_queue(MetalsimQueue* queue, const char* call) {
  if (queue->m_kind == QueueKind::main) {
    throw std::runtime_error(std::string(call) +
                             ": the main queue runs nothing in a process without a run loop, such as Python's, where "
                             "this waits for ever on a Mac; use a queue from dispatch_queue_create");
  }
}

bool excludes(MetalsimQueue* queue, bool is_barrier) {
  return is_barrier || queue->m_kind == QueueKind::serial;
}

} // namespace

MetalsimQueue* current_queue() {
  return innermost == nullptr ? nil : innermost->queue;
}

void check_no_deadlock(MetalsimQueue* queue, bool is_exclusive, const char* call) {
  for (const Frame* frame = innermost; frame != nullptr; frame = frame->outer) {
    if (frame->queue == queue && (is_exclusive || frame->is_exclusive)) {
      throw std::runtime_error(std::string(call) + " called on queue '" + queue->m_label +
                               "' which is already owned by the current thread: a deadlock, libdispatch ends the "
                               "process here; run the inner block without dispatching it");
    }
  }
}

void run_sync(dispatch_queue_t queue_object, bool is_barrier, const char* call, const std::function<void()>& work) {
  if (queue_object == nil) {
    throw std::invalid_argument(std::string(call) + ": got NULL, it must be a queue");
  }
  auto* queue = (MetalsimQueue*)queue_object;
  refuse_main_queue(queue, call);
  const bool is_exclusive = excludes(queue, is_barrier);
  check_no_deadlock(queue, is_exclusive, call);
  const Turn turn(*queue->m_order, is_exclusive);
  const Running running(queue, is_exclusive);
  work();
}

void run_async(dispatch_queue_t queue_object, bool is_barrier, const char* call, std::function<void()> work) {
  if (queue_object == nil) {
    throw std::invalid_argument(std::string(call) + ": got NULL, it must be a queue");
  }
  auto* queue = (MetalsimQueue*)queue_object;
  refuse_main_queue(queue, call);
  const bool is_exclusive = excludes(queue, is_barrier);
  [queue retain]; // until the block has run
  const auto run = [queue, is_exclusive, work = std::move(work)]() mutable {
    {
      const Running running(queue, is_exclusive);
      work();
      work = nullptr;
    }
    [queue release];
  };
  queue->m_order->add(run, is_exclusive);
}

std::function<void()> owned(dispatch_block_t block) {
  const std::shared_ptr<void> copy(_Block_copy((const void*)block), _Block_release);
  return [copy] { ((__bridge dispatch_block_t)copy.get())(); };
}

} // namespace metalsim::foundation

using namespace metalsim::foundation;

@implementation MetalsimQueue

- (void)dealloc {
  m_order->close();
  for (const auto& [key, specific] : m_specifics) {
    if (specific.second != nullptr) {
      specific.second(specific.first);
    }
  }
  [super dealloc];
}

@end

namespace {

/// As many blocks of a concurrent queue as libdispatch runs at once, so that some may wait for others.
constexpr size_t kMostWorkers = 64;

MetalsimQueue* new_queue(const char* label, QueueKind kind) {
  MetalsimQueue* queue = [[MetalsimQueue alloc] init];
  queue->m_label = label == nullptr ? "" : label;
  queue->m_kind = kind;
  queue->m_order = std::make_shared<QueueOrder>(kind == QueueKind::concurrent ? kMostWorkers : 1);
  return queue;
}

} // namespace

dispatch_queue_t dispatch_queue_create(const char* label, dispatch_queue_attr_t attributes) {
  return new_queue(label, is_concurrent(attributes) ? QueueKind::concurrent : QueueKind::serial);
}

// The target's priority and limits are not modelled.
dispatch_queue_t dispatch_queue_create_with_target(const char* label, dispatch_queue_attr_t attributes,
                                                   dispatch_queue_t target) {
  return dispatch_queue_create(label, attributes);
}

dispatch_queue_t dispatch_get_global_queue(intptr_t identifier, uintptr_t flags) {
  static MetalsimQueue* queue = new_queue("com.apple.root.default-qos", QueueKind::concurrent);
  return queue;
}

dispatch_queue_t dispatch_get_main_queue() {
  static MetalsimQueue* queue = new_queue("com.apple.main-thread", QueueKind::main);
  return queue;
}

const char* dispatch_queue_get_label(dispatch_queue_t queue) {
  MetalsimQueue* asked = queue == nil ? current_queue() : (MetalsimQueue*)queue;
  return asked == nil ? "com.apple.main-thread" : asked->m_label.c_str();
}

void dispatch_sync(dispatch_queue_t queue, DISPATCH_NOESCAPE dispatch_block_t block) {
  run_sync(queue, false, "dispatch_sync", [block] { block(); });
}

void dispatch_async_and_wait(dispatch_queue_t queue, DISPATCH_NOESCAPE dispatch_block_t block) {
  run_sync(queue, false, "dispatch_async_and_wait", [block] { block(); });
}

void dispatch_barrier_sync(dispatch_queue_t queue, DISPATCH_NOESCAPE dispatch_block_t block) {
  run_sync(queue, true, "dispatch_barrier_sync", [block] { block(); });
}

void dispatch_sync_f(dispatch_queue_t queue, void* context, dispatch_function_t work) {
  run_sync(queue, false, "dispatch_sync_f", [=] { work(context); });
}

void dispatch_barrier_sync_f(dispatch_queue_t queue, void* context, dispatch_function_t work) {
  run_sync(queue, true, "dispatch_barrier_sync_f", [=] { work(context); });
}

void dispatch_async(dispatch_queue_t queue, dispatch_block_t block) {
  run_async(queue, false, "dispatch_async", owned(block));
}

void dispatch_barrier_async(dispatch_queue_t queue, dispatch_block_t block) {
  run_async(queue, true, "dispatch_barrier_async", owned(block));
}

void dispatch_async_f(dispatch_queue_t queue, void* context, dispatch_function_t work) {
  run_async(queue, false, "dispatch_async_f", [=] { work(context); });
}

void dispatch_barrier_async_f(dispatch_queue_t queue, void* context, dispatch_function_t work) {
  run_async(queue, true, "dispatch_barrier_async_f", [=] { work(context); });
}

void dispatch_queue_set_specific(dispatch_queue_t queue_object, const void* key, void* context,
                                 dispatch_function_t destructor) {
  auto* queue = (MetalsimQueue*)queue_object;
  const std::lock_guard lock(queue->m_specifics_mutex);
  if (context == nullptr) {
    queue->m_specifics.erase(key);
  } else {
    queue->m_specifics[key] = {context, destructor};
  }
}

void* dispatch_queue_get_specific(dispatch_queue_t queue_object, const void* key) {
  auto* queue = (MetalsimQueue*)queue_object;
  const std::lock_guard lock(queue->m_specifics_mutex);
  const auto found = queue->m_specifics.find(key);
  return found == queue->m_specifics.end() ? nullptr : found->second.first;
}

void* dispatch_get_specific(const void* key) {
  MetalsimQueue* queue = current_queue();
  return queue == nil ? nullptr : dispatch_queue_get_specific(queue, key);
}

void dispatch_assert_queue(dispatch_queue_t queue) {
  if (current_queue() != queue) {
    throw std::runtime_error(std::string("dispatch_assert_queue: the block must run on queue '") +
                             ((MetalsimQueue*)queue)->m_label + "', it runs on '" + dispatch_queue_get_label(nil) +
                             "'");
  }
}

void dispatch_assert_queue_not(dispatch_queue_t queue) {
  if (current_queue() == queue) {
    throw std::runtime_error(std::string("dispatch_assert_queue_not: the block must not run on queue '") +
                             ((MetalsimQueue*)queue)->m_label + "'");
  }
}

// For code without Objective-C; there these are functions.
extern "C" __attribute__((visibility("default"))) void dispatch_retain(void* object) {
  [(id)object retain];
}
extern "C" __attribute__((visibility("default"))) void dispatch_release(void* object) {
  [(id)object release];
}
