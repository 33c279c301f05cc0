// Costs of memory instructions: see traffic.h.
#include "traffic.h"

#include <algorithm>

namespace metalsim::checker {

namespace {

constexpr uint64_t kLineBytes = 128;
constexpr uint32_t kBanks = 32;
constexpr uint32_t kApple7WordBytes = 4;
constexpr uint32_t kApple9WordBytes = 8;

/// Looks at the last ones first: neighbouring threads access neighbouring memory.
void insert(std::vector<uint64_t>& lines, uint64_t line) {
  for (size_t index = lines.size(); index > 0; --index) {
    if (lines[index - 1] == line) {
      return;
    }
  }
  lines.push_back(line);
}

} // namespace

uint64_t Lines::count(const std::vector<const Entry*>& accesses) {
  lines_.clear();
  for (const Entry* entry : accesses) {
    const uint64_t last = (entry->address + entry->size - 1) / kLineBytes;
    for (uint64_t line = entry->address / kLineBytes; line <= last; ++line) {
      insert(lines_, line);
    }
  }
  return lines_.size();
}

BankCycles Banks::cycles(const std::vector<const Entry*>& accesses) {
  const uint32_t site = accesses.front()->site();
  if (site >= pattern_of_site_.size()) {
    pattern_of_site_.resize(site + 1);
  }
  Pattern& pattern = pattern_of_site_[site];
  if (!is_same(pattern, accesses)) {
    pattern.cycles = {count(accesses, kApple7WordBytes), count(accesses, kApple9WordBytes)};
    pattern.accesses.clear();
    for (const Entry* entry : accesses) {
      pattern.accesses.push_back(*entry);
    }
  }
  return pattern.cycles;
}

/// Moving all accesses by whole words turns the banks round, and changes nothing else.
bool Banks::is_same(const Pattern& pattern, const std::vector<const Entry*>& accesses) {
  if (pattern.accesses.size() != accesses.size()) {
    return false;
  }
  const uint64_t moved = accesses.front()->address - pattern.accesses.front().address;
  bool is_same = moved % kApple9WordBytes == 0;
  for (size_t index = 0; index < accesses.size(); ++index) {
    is_same &= accesses[index]->address - pattern.accesses[index].address == moved;
    is_same &= accesses[index]->size == pattern.accesses[index].size;
  }
  return is_same;
}

uint64_t Banks::count(const std::vector<const Entry*>& accesses, uint32_t word_bytes) {
  if (++instruction_ == 0) {
    last_instruction_.clear(); // the numbers begin again
    instruction_ = 1;
  }
  uint32_t words[kBanks] = {};
  uint32_t most = 0;
  for (const Entry* entry : accesses) {
    const uint64_t last = (entry->address + entry->size - 1) / word_bytes;
    if (last >= last_instruction_.size()) {
      last_instruction_.resize(2 * last + 1, 0);
    }
    for (uint64_t word = entry->address / word_bytes; word <= last; ++word) {
      if (last_instruction_[word] != instruction_) {
        last_instruction_[word] = instruction_;
        most = std::max(most, ++words[word % kBanks]);
      }
    }
  }
  return most;
}

} // namespace metalsim::checker
