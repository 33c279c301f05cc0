// Checks of accesses to buffers: bounds to the byte, races within a threadgroup and between threadgroups.
#pragma once

#include "../runtime/observer.h"
#include "report.h"

#include <memory>
#include <optional>
#include <vector>

namespace metalsim::checker {

class DeviceMemory {
public:
  DeviceMemory(const Request& request, Reporter& reporter);

  void begin_threadgroup();
  void threadgroup_barrier();
  void simdgroup_barrier(uint32_t simdgroup);

  /// Returns the index of the [[buffer(n)]] through which the access went, nothing if it is outside of all of them.
  std::optional<uint32_t> access(uint64_t address, uint64_t size, const Site& site, const Running& running);
  /// The same without checks.
  std::optional<uint32_t> find(uint64_t address, uint64_t size, const Site& site);

private:
  /// Memory of buffers that overlap.
  struct Region {
    uint64_t begin;
    uint64_t end;
    std::unique_ptr<Shadow> shadow; ///< null as long as nothing can be written: reads alone do not race
  };
  struct Buffer {
    uint32_t index;
    uint64_t address; ///< what the kernel got
    uint64_t begin;
    uint64_t end;
    Region* region;

    bool contains(uint64_t at, uint64_t size) const { return at >= begin && at < end && size <= end - at; }
  };

  void add_region(const Buffer& buffer, bool is_writable);
  void renumber();
  const Buffer* buffer_of(uint64_t address, uint64_t size, const Site& site);
  void report_bounds(uint64_t address, uint64_t size, const Site& site);
  const Buffer* nearest_buffer(uint64_t address, const Site& site) const;

  Reporter& reporter_;
  Intervals intervals_;
  std::vector<std::unique_ptr<Region>> regions_;
  std::vector<Buffer> buffers_;
  const Buffer* by_index_[abi::kMaxBindings] = {};
};

} // namespace metalsim::checker
