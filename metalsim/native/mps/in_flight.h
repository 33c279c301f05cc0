// Command buffers of torch's stream that are committed and whose end nobody has waited for yet.
#pragma once

#include <Metal/Metal.h>

#include <mutex>
#include <vector>

namespace metalsim::mps {

/// torch itself forgets a buffer once it is committed; kept here, a failed one raises at the next wait. Thread-safe.
class InFlight {
public:
  /// Also lets go of the oldest ones that have completed.
  void add(id<MTLCommandBuffer> buffer);
  /// Waits for all of them, then raises the first failure as a RuntimeError.
  void wait();

private:
  std::mutex mutex_;
  std::vector<id<MTLCommandBuffer>> buffers_; ///< retained, in the order of their commits
};

InFlight& in_flight();

} // namespace metalsim::mps
