// Counters of a dispatch: see counters.h.
#include "counters.h"

#include <algorithm>

namespace metalsim::checker {

namespace {

// Fragment events come first in abi::Event: loads from three memories, then stores to them.
constexpr uint32_t kFragmentEvents = 6;
static_assert(static_cast<uint32_t>(abi::Event::exponential) == kFragmentEvents);

} // namespace

void Traffic::add(const Traffic& other) {
  bytes += other.bytes;
  instructions += other.instructions;
  transactions += other.transactions;
  cycles_apple7 += other.cycles_apple7;
  cycles_apple9 += other.cycles_apple9;
}

Counters::Counters(const Sites& sites) : sites_(sites), fragments_(abi::kMaxThreads) {}

void Counters::begin_threadgroup(uint32_t threads) {
  ++totals_.threadgroups;
  totals_.threads += threads;
  totals_.simdgroups += (threads + abi::kSimdWidth - 1) / abi::kSimdWidth;
}

void Counters::thread_access(uint64_t size, const Site& site) {
  totals_.thread_bytes[(site.flags & abi::kStore) != 0 ? 1 : 0] += size;
}

void Counters::event(uint32_t thread, uint32_t event, uint32_t count) {
  if (event < kFragmentEvents) {
    fragments_[thread][event] += count;
    has_fragments_ = true;
  } else if (event < totals_.events.size()) {
    totals_.events[event] += count;
  }
}

void Counters::simdgroup_met(uint32_t simdgroup, uint32_t mask) {
  trace_.flush(simdgroup, mask, [this](const std::vector<const Entry*>& accesses) { instruction(accesses); });
  if (has_fragments_) {
    add_fragments(simdgroup, mask);
  }
}

/// A fragment is loaded by a simdgroup together: it counts once, however many of its threads say so.
void Counters::add_fragments(uint32_t simdgroup, uint32_t mask) {
  std::array<uint32_t, kFragmentEvents> most = {};
  for (uint32_t lane = 0; lane < abi::kSimdWidth; ++lane) {
    if ((mask >> lane & 1) == 0) {
      continue;
    }
    std::array<uint32_t, kFragmentEvents>& counts = fragments_[simdgroup * abi::kSimdWidth + lane];
    for (uint32_t event = 0; event < kFragmentEvents; ++event) {
      most[event] = std::max(most[event], counts[event]);
    }
    counts = {};
  }
  for (uint32_t event = 0; event < kFragmentEvents; ++event) {
    totals_.events[event] += most[event];
  }
}

void Counters::instruction(const std::vector<const Entry*>& accesses) {
  const Entry& first = *accesses.front();
  const uint32_t site = first.site();
  const bool is_store = (sites_.find(site)->flags & abi::kStore) != 0;
  Traffic traffic;
  traffic.instructions = 1;
  for (const Entry* entry : accesses) {
    traffic.bytes += entry->size;
  }
  if (site >= totals_.sites.size()) {
    totals_.sites.resize(site + 1);
  }
  if (first.target() == kThreadgroupTarget) {
    const BankCycles cycles = banks_.cycles(accesses);
    traffic.cycles_apple7 = cycles.apple7;
    traffic.cycles_apple9 = cycles.apple9;
    totals_.threadgroup[is_store ? 1 : 0].add(traffic);
    totals_.sites[site].threadgroup.add(traffic);
  } else {
    traffic.transactions = lines_.count(accesses);
    totals_.device[first.target()][is_store ? 1 : 0].add(traffic);
    totals_.sites[site].device.add(traffic);
  }
}

void Counters::collective(abi::Collective op) {
  switch (op) {
  case abi::Collective::ballot:
  case abi::Collective::active_mask:
  case abi::Collective::is_first:
    ++totals_.votes;
    return;
  case abi::Collective::reduce:
  case abi::Collective::quad_reduce:
    ++totals_.reductions;
    return;
  default:
    ++totals_.shuffles;
  }
}

} // namespace metalsim::checker
