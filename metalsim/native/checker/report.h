// From what the checks find to Finding: who accessed what, and which two places are in conflict.
#pragma once

#include "../instrumentation.h"
#include "../runtime/observer.h"
#include "shadow.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace metalsim::checker {

using instrumentation::Site;

/// The sites that have been executed, by their numbers.
class Sites {
public:
  void executed(const Site& site) {
    if (site.number >= sites_.size()) {
      sites_.resize(site.number + 1);
    }
    sites_[site.number] = &site;
  }
  /// Null if not known.
  const Site* find(uint32_t number) const { return number < sites_.size() ? sites_[number] : nullptr; }
  const std::vector<const Site*>& all() const { return sites_; }

private:
  std::vector<const Site*> sites_;
};

/// An access: where in its memory it is, for the report.
struct Place {
  const char* space;
  std::optional<uint32_t> buffer;
  std::optional<int64_t> byte;
  std::optional<uint64_t> size;
};

inline AccessKind kind_of(const Site& site) {
  const bool is_store = (site.flags & abi::kStore) != 0;
  if ((site.flags & abi::kAtomic) == 0) {
    return is_store ? AccessKind::store : AccessKind::load;
  }
  if (!is_store) {
    return AccessKind::atomic_load;
  }
  return (site.flags & instrumentation::kModify) != 0 ? AccessKind::atomic_modify : AccessKind::atomic_store;
}

class Reporter {
public:
  Reporter(Findings& findings, const Sites& sites) : findings_(findings), sites_(sites) {}

  /// `bounds` says what the access should have been inside of.
  void out_of_bounds(const Site& site, const Place& place, const std::string& bounds);
  void uninitialized_read(const Site& site, const Place& place, const std::string& what);
  /// `memory` is what is accessed. Stores of one instruction are judged by settle(), once the second value is there.
  void race(const Site& site, const Place& place, const Verdict& verdict, const Access& access, const char* memory);
  /// To be called before anything else happens after an access.
  void settle() {
    if (is_pending_) {
      settle_pending();
    }
  }

private:
  /// A store of the same instruction as an earlier one to the same place.
  struct Pending {
    Finding finding;
    Running thread;
    const char* memory;
    std::string earlier; ///< what the earlier store left there
  };

  void settle_pending();
  static Finding make(const char* kind, const Site& site, const Place& place, const std::string& detail);

  Findings& findings_;
  const Sites& sites_;
  bool is_pending_ = false;
  Pending pending_;
};

} // namespace metalsim::checker
