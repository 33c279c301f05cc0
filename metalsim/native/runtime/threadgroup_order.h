// In which order a dispatch takes its threadgroups.
#pragma once

#include "request.h"

#include <cstdint>
#include <numeric>

namespace metalsim {

/// A permutation of 0..count-1: ascending, descending, or strides through the numbers that a seed chooses.
class ThreadgroupOrder {
public:
  ThreadgroupOrder(const Request& request, uint64_t count) : count_(count) {
    if (request.schedule == static_cast<uint32_t>(Schedule::reversed)) {
      first_ = count - 1;
      step_ = count - 1; // one back, modulo count
    } else if (request.schedule == static_cast<uint32_t>(Schedule::random)) {
      uint64_t draw = request.seed;
      const auto next = [&draw] { return draw = (draw + 0x9e3779b97f4a7c15) * 0xd1342543de82ef95; };
      first_ = next() % count;
      do {
        step_ = 1 + (next() >> 32) % count;
      } while (std::gcd(step_, count) != 1);
    }
  }

  /// The threadgroup that is taken after `taken` others.
  uint64_t at(uint64_t taken) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(taken) * step_ + first_) % count_);
  }

private:
  uint64_t count_;
  uint64_t first_ = 0;
  uint64_t step_ = 1;
};

} // namespace metalsim
