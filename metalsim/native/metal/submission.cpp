#include "submission.h"

#include "settings.h"
#include "statistics.h"

#include <chrono>

namespace metalsim::metal {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace

void Submission::run_commands() noexcept {
  const std::vector<Command> taken = commands.take();
  try {
    for (const Command& command : taken) {
      if (has_failed()) {
        return;
      }
      run(command);
    }
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Submission::schedule() noexcept {
  std::call_once(scheduled_, [this] {
    if (scheduled_handlers) {
      scheduled_handlers();
      scheduled_handlers = nullptr;
    }
  });
}

void Submission::execute() noexcept {
  if (settings().execution == Execution::thread && settings().delay_microseconds != 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(settings().delay_microseconds));
  }
  start_time = now();
  run_commands();
  end_time = now();
  commands.clear();
  ++statistics.completed_command_buffers;
}

void Submission::call_completed_handlers() noexcept {
  if (completed_handlers) {
    const std::function<void()> handlers = std::exchange(completed_handlers, nullptr);
    handlers();
  }
}

} // namespace metalsim::metal
