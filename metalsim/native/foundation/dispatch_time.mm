#include "dispatch_time.h"

#import <Foundation/Foundation.h>

#include <algorithm>

namespace {

template <typename Clock> int64_t nanoseconds_of() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

dispatch_time_t sum(int64_t start, int64_t delta) {
  int64_t result = 0;
  if (__builtin_add_overflow(start, delta, &result)) {
    return delta < 0 ? 1 : DISPATCH_TIME_FOREVER;
  }
  return static_cast<dispatch_time_t>(std::max<int64_t>(result, 1)); // zero means now
}

} // namespace

dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta) {
  if (when == DISPATCH_TIME_FOREVER) {
    return when;
  }
  return sum(when == DISPATCH_TIME_NOW ? nanoseconds_of<std::chrono::steady_clock>() : static_cast<int64_t>(when),
             delta);
}

// Kept as a time of the steady clock: setting the system's clock does not move it.
dispatch_time_t dispatch_walltime(const struct timespec* when, int64_t delta) {
  const int64_t now = nanoseconds_of<std::chrono::system_clock>();
  const int64_t start = when == nullptr ? now : when->tv_sec * (int64_t)NSEC_PER_SEC + when->tv_nsec;
  return sum(nanoseconds_of<std::chrono::steady_clock>() + (start - now), delta);
}
