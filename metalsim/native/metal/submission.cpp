#include "submission.h"

#include "settings.h"
#include "statistics.h"
#include "validation.h"

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

void Submission::add_products(uint64_t products) {
  products_ += products;
  const uint64_t most = settings().max_products;
  if (most != 0 && products_ > most && !has_failed()) {
    // The name is macOS's [ml-explore/mlx#3267]; which code comes with it is not known here.
    failure_ = std::make_exception_ptr(ExecutionFailed(
        ExecutionFailed::Code::timeout,
        "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity): the command buffer "
        "took " +
            text(products_) + " matrix products, and METALSIM_MAX_PRODUCTS allows " + text(most)));
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
