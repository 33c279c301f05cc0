// Adds up what a dispatch does: metalsim/counts.py says what each number is.
#pragma once

#include "../instrumentation.h"
#include "../runtime/observer.h"
#include "report.h"
#include "trace.h"
#include "traffic.h"

#include <array>
#include <map>
#include <string>
#include <vector>

namespace metalsim::checker {

/// Of one memory, one way: loads or stores.
struct Traffic {
  uint64_t bytes = 0;
  uint64_t instructions = 0;
  uint64_t transactions = 0;
  uint64_t cycles_apple7 = 0;
  uint64_t cycles_apple9 = 0;

  void add(const Traffic& other);
};

/// Of one site, in one kind of memory.
struct SiteTraffic {
  Traffic device;
  Traffic threadgroup;
};

struct Totals {
  uint64_t threadgroups = 0;
  uint64_t simdgroups = 0;
  uint64_t threads = 0;
  uint64_t shuffles = 0;
  uint64_t reductions = 0;
  uint64_t votes = 0;
  uint64_t threadgroup_barriers = 0;
  uint64_t simdgroup_barriers = 0;
  uint64_t thread_bytes[2] = {}; ///< loaded, stored: where only the address told that it is the thread's own memory
  std::map<uint32_t, uint64_t> matrix_products;
  std::array<uint64_t, static_cast<size_t>(abi::Event::kCount)> events = {};
  std::array<Traffic, 2> device[abi::kMaxBindings] = {}; ///< loads, stores
  std::array<Traffic, 2> threadgroup = {};
  std::vector<SiteTraffic> sites;
};

class Counters {
public:
  explicit Counters(const Sites& sites);

  void begin_threadgroup(uint32_t threads);
  void device_access(uint32_t thread, uint64_t address, uint64_t size, const Site& site, uint32_t buffer) {
    trace_.add(thread, address, size, site.number, buffer);
  }
  void threadgroup_access(uint32_t thread, uint64_t offset, uint64_t size, const Site& site) {
    trace_.add(thread, offset, size, site.number, kThreadgroupTarget);
  }
  void thread_access(uint64_t size, const Site& site);
  void event(uint32_t thread, uint32_t event, uint32_t count);
  void simdgroup_met(uint32_t simdgroup, uint32_t mask);
  void collective(abi::Collective op);
  void matrix_product(uint32_t types) { ++totals_.matrix_products[types]; }
  void threadgroup_barrier() { ++totals_.threadgroup_barriers; }
  void simdgroup_barrier() { ++totals_.simdgroup_barriers; }
  const Totals& totals() const { return totals_; }

private:
  void instruction(const std::vector<const Entry*>& accesses);
  void add_fragments(uint32_t simdgroup, uint32_t mask);

  const Sites& sites_;
  Totals totals_;
  Trace trace_;
  Lines lines_;
  Banks banks_;
  std::vector<std::array<uint32_t, 6>> fragments_; ///< fragment events of each thread since the last meeting
  bool has_fragments_ = false;
};

/// Operations are counted by the kernel's library itself: makes it begin at 0.
void reset_operations(const Request& request);
/// The counts as a JSON object with the keys of counts.Counts.
std::string to_json(const Totals& totals, const Request& request, const Sites& sites);

} // namespace metalsim::checker
