#include "in_flight.h"

#include "interpreter.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <exception>
#include <string>

namespace metalsim::mps {

namespace {

/// Its error's text if it failed; empty otherwise.
std::string finish(id<MTLCommandBuffer> buffer) {
  @autoreleasepool {
    std::string failure;
    [buffer waitUntilCompleted];
    if ([buffer status] == MTLCommandBufferStatusError) {
      NSString* const description = [[buffer error] localizedDescription];
      failure = description == nil ? "the command buffer gives no reason" : [description UTF8String];
    }
    return failure;
  }
}

} // namespace

void InFlight::add(id<MTLCommandBuffer> buffer) {
  const std::lock_guard lock(mutex_);
  const auto is_pending = [](id<MTLCommandBuffer> earlier) {
    return [earlier status] != MTLCommandBufferStatusCompleted;
  };
  const auto first_pending = std::find_if(buffers_.begin(), buffers_.end(), is_pending);
  std::for_each(buffers_.begin(), first_pending, [](id<MTLCommandBuffer> completed) { [completed release]; });
  buffers_.erase(buffers_.begin(), first_pending);
  buffers_.push_back([buffer retain]);
}

void InFlight::wait() {
  std::vector<id<MTLCommandBuffer>> buffers;
  {
    const std::lock_guard lock(mutex_);
    buffers.swap(buffers_);
  }
  std::string first_failure;
  {
    const ReleasedInterpreter released;
    std::exception_ptr raised;
    for (id<MTLCommandBuffer> buffer : buffers) {
      try {
        const std::string failure = finish(buffer);
        first_failure = first_failure.empty() ? failure : first_failure;
      } catch (...) {
        raised = raised ? raised : std::current_exception();
      }
      [buffer release];
    }
    if (raised) {
      std::rethrow_exception(raised);
    }
  }
  TORCH_CHECK(first_failure.empty(), "MPS command buffer failed: ", first_failure);
}

InFlight& in_flight() {
  static InFlight* const buffers = new InFlight;
  return *buffers;
}

} // namespace metalsim::mps
