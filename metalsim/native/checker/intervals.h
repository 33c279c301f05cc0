// Counts the intervals between barriers for one kind of memory: see record.h.
#pragma once

#include "../abi.h"
#include "record.h"

namespace metalsim::checker {

class Intervals {
public:
  /// The first interval of a threadgroup whose memory is its own.
  void restart() {
    first_ = current_ = 1;
    reset_simdgroups();
  }
  /// The first interval of another threadgroup on the same memory. False if the numbers are used up: see renumber().
  [[nodiscard]] bool next_threadgroup() {
    const bool counted = next();
    first_ = current_;
    return counted;
  }
  /// A threadgroup barrier. False as above.
  [[nodiscard]] bool next() {
    ++current_;
    reset_simdgroups();
    return current_ < kMaxInterval;
  }
  /// A simdgroup barrier. False as above.
  [[nodiscard]] bool next_of_simdgroup(uint32_t simdgroup) {
    return ++simdgroup_interval_[simdgroup] < kMaxSimdgroupInterval;
  }

  Access access(uint32_t thread, uint32_t site) const {
    return {make_record(thread, simdgroup_interval_[thread / abi::kSimdWidth], site, current_), Record{first_} << 48};
  }

  /// The same record in the numbers that hold after renumber(): which of two accesses is earlier stays as it is.
  Record renumbered(Record record) const;
  void renumber();

private:
  void reset_simdgroups() {
    for (uint32_t& interval : simdgroup_interval_) {
      interval = 0;
    }
  }

  uint32_t first_ = 1;
  uint32_t current_ = 1;
  uint32_t simdgroup_interval_[abi::kMaxThreads / abi::kSimdWidth] = {};
};

} // namespace metalsim::checker
