// Checks of threadgroup memory: see threadgroup_memory.h.
//
// Not seen: an access that runs from one variable into another, if the pass does not know which variable it began in;
// the arena's red zones between variables make small overruns visible all the same.
#include "threadgroup_memory.h"

#include <algorithm>

namespace metalsim::checker {

void ThreadgroupMemory::begin_threadgroup() {
  intervals_.restart();
  shadow_.clear();
}

void ThreadgroupMemory::allocated(uint64_t offset, uint64_t size, const char* name) {
  const Variable variable{static_cast<int64_t>(offset), static_cast<int64_t>(offset + size), name ? name : ""};
  for (const Variable& known : variables_) {
    if (known.begin == variable.begin && known.end == variable.end && known.name == variable.name) {
      return;
    }
  }
  // Variables get their places in the order in which a threadgroup reaches them, which need not be the last one's.
  const auto is_gone = [&](const Variable& known) { return known.begin < variable.end && variable.begin < known.end; };
  variables_.erase(std::remove_if(variables_.begin(), variables_.end(), is_gone), variables_.end());
  variables_.push_back(variable);
  variable_of_site_.clear();
  const int64_t end = std::max_element(variables_.begin(), variables_.end(), [](const Variable& a, const Variable& b) {
                        return a.end < b.end;
                      })->end;
  shadow_.grow(static_cast<uint64_t>(end));
}

void ThreadgroupMemory::threadgroup_barrier() {
  if (!intervals_.next()) {
    shadow_.renumber(intervals_);
    intervals_.renumber();
  }
}

void ThreadgroupMemory::simdgroup_barrier(uint32_t simdgroup) {
  if (!intervals_.next_of_simdgroup(simdgroup)) {
    shadow_.renumber(intervals_);
    intervals_.renumber();
  }
}

const ThreadgroupMemory::Variable* ThreadgroupMemory::search(int64_t offset, uint64_t size, const Site& site) {
  if (site.number >= variable_of_site_.size()) {
    variable_of_site_.resize(site.number + 1, kNone);
  }
  for (uint32_t index = 0; index < variables_.size(); ++index) {
    const bool may_be = !site.variable || variables_[index].name == site.variable;
    if (may_be && variables_[index].contains(offset, size)) {
      variable_of_site_[site.number] = index;
      return &variables_[index];
    }
  }
  return nullptr;
}

bool ThreadgroupMemory::access(int64_t offset, uint64_t size, const Site& site, const Running& running) {
  const Variable* variable = find(offset, size, site);
  if (!variable) {
    report_bounds(offset, size, site);
    return false;
  }
  const Access access = intervals_.access(running.thread, site.number);
  const Verdict verdict = shadow_.access(kind_of(site), static_cast<uint64_t>(offset), size, access);
  if (verdict.uninitialized || verdict.conflict != 0) {
    report(verdict, *variable, size, site, access, running.threadgroup_memory + offset);
  }
  return true;
}

void ThreadgroupMemory::report(const Verdict& verdict, const Variable& variable, uint64_t size, const Site& site,
                               const Access& access, const char* memory) {
  if (verdict.uninitialized) {
    const int64_t byte = static_cast<int64_t>(verdict.uninitialized_byte) - variable.begin;
    reporter_.uninitialized_read(site, {"threadgroup", std::nullopt, byte, size},
                                 "'" + variable.name + "' is read before this threadgroup has written it");
  }
  if (verdict.conflict != 0) {
    const int64_t byte = static_cast<int64_t>(verdict.conflict_byte) - variable.begin;
    reporter_.race(site, {"threadgroup", std::nullopt, byte, size}, verdict, access, memory);
  }
}

void ThreadgroupMemory::report_bounds(int64_t offset, uint64_t size, const Site& site) {
  const Variable* nearest = nullptr;
  int64_t least = 0;
  for (const Variable& variable : variables_) {
    if (site.variable && variable.name != site.variable) {
      continue;
    }
    const int64_t distance = offset < variable.begin ? variable.begin - offset : offset - variable.end;
    if (!nearest || distance < least) {
      nearest = &variable;
      least = distance;
    }
  }
  if (!nearest) {
    reporter_.out_of_bounds(site, {"threadgroup", std::nullopt, offset, size}, "every threadgroup variable");
    return;
  }
  const std::string bytes = std::to_string(nearest->end - nearest->begin);
  const char* certainty = site.variable ? "" : ", the nearest variable";
  reporter_.out_of_bounds(site, {"threadgroup", std::nullopt, offset - nearest->begin, size},
                          "'" + nearest->name + "' of " + bytes + " bytes" + certainty);
}

} // namespace metalsim::checker
