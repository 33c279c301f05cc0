// A command buffer without Objective-C: commands, and how far they have come.
#pragma once

#include "commands.h"

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace metalsim::metal {

class Submission {
public:
  /// Values of MTLCommandBufferStatus.
  enum class Stage : uint32_t { not_enqueued, enqueued, committed, scheduled, completed, failed };

  CommandList commands; ///< of the encoding thread until the submission is committed

  /// Runs what the list holds, and keeps the first failure; nothing runs after one. Afterwards the list is empty.
  void run_commands() noexcept;
  bool has_failed() const { return failure_ != nullptr; }
  /// Counts matrix products that the commands have taken; fails if they are more than METALSIM_MAX_PRODUCTS allows.
  void add_products(uint64_t products);
  /// Valid in the stage `failed`.
  std::exception_ptr failure() const { return failure_; }

  Stage stage() const { return stage_.load(std::memory_order_acquire); }
  void set_stage(Stage stage) { stage_.store(stage, std::memory_order_release); }
  bool is_finished() const { return stage() >= Stage::completed; }

  /// Calls the scheduled handlers, once. As on a Mac, a handler that throws ends the process.
  void schedule() noexcept;
  /// Runs what is left and calls nothing: the last stage is set by the queue.
  void execute() noexcept;
  /// Calls the completed handlers and lets go of what they hold. A handler that throws ends the process.
  void call_completed_handlers() noexcept;

  // Set before the commit.
  std::function<void()> scheduled_handlers, completed_handlers;
  bool has_observers = false; ///< somebody may learn of its end without waiting: handlers, shared events

  // In seconds of the steady clock.
  double start_time = 0, end_time = 0;

  // Guarded by the queue's mutex.
  bool are_handlers_done = false;
  std::thread::id handler_thread; ///< which calls the completed handlers

private:
  std::atomic<Stage> stage_{Stage::not_enqueued};
  std::exception_ptr failure_;
  uint64_t products_ = 0;
  std::once_flag scheduled_;
};

} // namespace metalsim::metal
