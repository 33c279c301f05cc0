// Renumbering of intervals, after some ten thousand barriers: see intervals.h.
#include "intervals.h"

namespace metalsim::checker {

namespace {

// All that matters of an interval is which of these it is.
constexpr uint32_t kOtherThreadgroup = 1;
constexpr uint32_t kEarlier = 2;
constexpr uint32_t kCurrent = 3;
constexpr uint32_t kEarlierOfSimdgroup = 0;
constexpr uint32_t kCurrentOfSimdgroup = 1;
constexpr Record kFlags = kAtomicRecord | kManyThreads | kManySimdgroups | kEarlierThreadgroup;

} // namespace

Record Intervals::renumbered(Record record) const {
  if (record == 0) {
    return 0;
  }
  const uint32_t old = interval_of(record);
  const uint32_t interval = old < first_ ? kOtherThreadgroup : (old < current_ ? kEarlier : kCurrent);
  const bool is_current = simdgroup_interval_of(record) == simdgroup_interval_[simdgroup_of(record)];
  const uint32_t of_simdgroup = is_current ? kCurrentOfSimdgroup : kEarlierOfSimdgroup;
  return make_record(thread_of(record), of_simdgroup, site_of(record), interval) | (record & kFlags);
}

void Intervals::renumber() {
  // A threadgroup that has just begun has no earlier intervals of its own.
  first_ = first_ == current_ ? kCurrent : kEarlier;
  current_ = kCurrent;
  for (uint32_t& interval : simdgroup_interval_) {
    interval = kCurrentOfSimdgroup;
  }
}

} // namespace metalsim::checker
