// Lines up the accesses of a simdgroup's threads: which of them were one instruction.
//
// Threads run one after the other from one collective to the next, and each leaves a trace of its accesses. Where all
// traces name the same sites, the n-th entries are an instruction. Where they do not, because the threads took
// different ways, the n-th executions of a site are one: what a GPU does that runs both ways after each other.
#pragma once

#include "../abi.h"
#include "traffic.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace metalsim::checker {

class Trace {
public:
  using Visitor = std::function<void(const std::vector<const Entry*>&)>;

  Trace() : lanes_(abi::kMaxThreads) {}

  void add(uint32_t thread, uint64_t address, uint64_t size, uint32_t site, uint32_t target) {
    lanes_[thread].emplace_back(address, size, site, target);
  }
  /// Visits the instructions of the lanes in `mask`, and forgets them.
  void flush(uint32_t simdgroup, uint32_t mask, const Visitor& visit);

private:
  /// Traces that are not empty.
  struct Lanes {
    std::vector<Entry>* traces[abi::kSimdWidth];
    uint32_t count = 0;

    std::vector<Entry>** begin() { return traces; }
    std::vector<Entry>** end() { return traces + count; }
    std::vector<Entry>* const* begin() const { return traces; }
    std::vector<Entry>* const* end() const { return traces + count; }
  };

  static bool same_way(const Lanes& lanes);
  void visit_in_order(const Lanes& lanes, const Visitor& visit);
  void visit_by_site(const Lanes& lanes, const Visitor& visit);

  std::vector<std::vector<Entry>> lanes_;
  std::vector<const Entry*> instruction_;
  std::vector<uint32_t> executions_; ///< of each site by the thread that is looked at
};

} // namespace metalsim::checker
