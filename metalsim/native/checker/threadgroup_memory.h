// Checks of accesses to threadgroup memory: bounds of each variable, reads before any write, races.
#pragma once

#include "../runtime/observer.h"
#include "report.h"

#include <string>
#include <vector>

namespace metalsim::checker {

class ThreadgroupMemory {
public:
  explicit ThreadgroupMemory(Reporter& reporter) : reporter_(reporter), shadow_(0) {}

  void begin_threadgroup();
  void allocated(uint64_t offset, uint64_t size, const char* name);
  void threadgroup_barrier();
  void simdgroup_barrier(uint32_t simdgroup);

  /// `offset` is from the start of the arena, and may lie outside of it. Returns whether the access is inside of a
  /// variable.
  bool access(int64_t offset, uint64_t size, const Site& site, const Running& running);

private:
  static constexpr uint32_t kNone = ~0u;

  struct Variable {
    int64_t begin;
    int64_t end;
    std::string name;

    bool contains(int64_t offset, uint64_t size) const {
      return offset >= begin && offset < end && size <= static_cast<uint64_t>(end - offset);
    }
  };

  /// The variable that the access is inside of, or null.
  const Variable* find(int64_t offset, uint64_t size, const Site& site) {
    const uint32_t last = site.number < variable_of_site_.size() ? variable_of_site_[site.number] : kNone;
    return last != kNone && variables_[last].contains(offset, size) ? &variables_[last] : search(offset, size, site);
  }
  const Variable* search(int64_t offset, uint64_t size, const Site& site);
  void report(const Verdict& verdict, const Variable& variable, uint64_t size, const Site& site, const Access& access,
              const char* memory);
  void report_bounds(int64_t offset, uint64_t size, const Site& site);

  Reporter& reporter_;
  Shadow shadow_;
  Intervals intervals_;
  std::vector<Variable> variables_;
  std::vector<uint32_t> variable_of_site_; ///< the one of the site's last access, or kNone
};

} // namespace metalsim::checker
