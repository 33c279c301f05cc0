// Traces of accesses: see trace.h.
#include "trace.h"

#include <algorithm>
#include <tuple>

namespace metalsim::checker {

namespace {

struct Execution {
  uint32_t site;
  uint32_t number; ///< of the thread's executions of this site
  const Entry* entry;
};

} // namespace

void Trace::flush(uint32_t simdgroup, uint32_t mask, const Visitor& visit) {
  Lanes lanes;
  for (uint32_t lane = 0; lane < abi::kSimdWidth; ++lane) {
    std::vector<Entry>& entries = lanes_[simdgroup * abi::kSimdWidth + lane];
    if ((mask >> lane & 1) != 0 && !entries.empty()) {
      lanes.traces[lanes.count++] = &entries;
    }
  }
  if (lanes.count == 0) {
    return;
  }
  if (same_way(lanes)) {
    visit_in_order(lanes, visit);
  } else {
    visit_by_site(lanes, visit);
  }
  for (std::vector<Entry>* entries : lanes) {
    entries->clear();
  }
}

bool Trace::same_way(const Lanes& lanes) {
  const std::vector<Entry>& first = **lanes.begin();
  const auto same_site = [](const Entry& a, const Entry& b) { return a.site() == b.site(); };
  return std::all_of(lanes.begin() + 1, lanes.end(), [&](const std::vector<Entry>* other) {
    return std::equal(first.begin(), first.end(), other->begin(), other->end(), same_site);
  });
}

void Trace::visit_in_order(const Lanes& lanes, const Visitor& visit) {
  instruction_.resize(lanes.count);
  for (size_t position = 0; position < lanes.traces[0]->size(); ++position) {
    for (uint32_t lane = 0; lane < lanes.count; ++lane) {
      instruction_[lane] = &(*lanes.traces[lane])[position];
    }
    visit(instruction_);
  }
}

void Trace::visit_by_site(const Lanes& lanes, const Visitor& visit) {
  std::vector<Execution> all;
  for (const std::vector<Entry>* entries : lanes) {
    executions_.assign(executions_.size(), 0);
    for (const Entry& entry : *entries) {
      const uint32_t site = entry.site();
      if (site >= executions_.size()) {
        executions_.resize(site + 1, 0);
      }
      all.push_back({site, executions_[site]++, &entry});
    }
  }
  const auto key = [](const Execution& one) { return std::tuple(one.site, one.number); };
  std::sort(all.begin(), all.end(), [&](const Execution& a, const Execution& b) { return key(a) < key(b); });
  for (size_t begin = 0; begin < all.size();) {
    instruction_.clear();
    size_t end = begin;
    for (; end < all.size() && key(all[end]) == key(all[begin]); ++end) {
      instruction_.push_back(all[end].entry);
    }
    visit(instruction_);
    begin = end;
  }
}

} // namespace metalsim::checker
