// What one memory instruction of a simdgroup costs: distinct lines of device memory, cycles of threadgroup memory's
// banks.
//
// The textbook model: device memory moves in lines of 128 bytes, each of which an instruction pays for once.
// Threadgroup memory has 32 banks; in a cycle each bank gives one word to any number of threads, so that an instruction
// takes as many cycles as its busiest bank has distinct words to give.
#pragma once

#include <cstdint>
#include <vector>

namespace metalsim::checker {

/// An access of one thread.
struct Entry {
  Entry(uint64_t address, uint64_t size, uint32_t site, uint32_t target)
      : address(address), size(static_cast<uint32_t>(size)), site_and_target(site << 8 | target) {}

  uint32_t site() const { return site_and_target >> 8; }
  uint32_t target() const { return site_and_target & 255; } ///< index of the buffer, or kThreadgroupTarget

  uint64_t address;
  uint32_t size;
  uint32_t site_and_target;
};

inline constexpr uint32_t kThreadgroupTarget = 255;

class Lines {
public:
  /// Distinct lines that the accesses touch.
  uint64_t count(const std::vector<const Entry*>& accesses);

private:
  std::vector<uint64_t> lines_;
};

struct BankCycles {
  uint64_t apple7; ///< 32 banks of 4 bytes
  uint64_t apple9; ///< 32 banks of 8 bytes
};

class Banks {
public:
  /// Cycles that the accesses of a site take. Addresses are offsets in threadgroup memory.
  BankCycles cycles(const std::vector<const Entry*>& accesses);

private:
  /// The last instruction of a site. Most are the same again, somewhere else in the memory.
  struct Pattern {
    std::vector<Entry> accesses;
    BankCycles cycles;
  };

  static bool is_same(const Pattern& pattern, const std::vector<const Entry*>& accesses);
  uint64_t count(const std::vector<const Entry*>& accesses, uint32_t word_bytes);

  std::vector<Pattern> pattern_of_site_;
  uint32_t instruction_ = 0;
  std::vector<uint32_t> last_instruction_; ///< that used a word
};

} // namespace metalsim::checker
