// Texts of findings: see report.h.
#include "report.h"

namespace metalsim::checker {

namespace {

const char* verb(const Site& site) {
  const bool is_store = (site.flags & abi::kStore) != 0;
  if ((site.flags & abi::kAtomic) != 0) {
    return is_store ? ((site.flags & instrumentation::kModify) != 0 ? "atomic read-modify-write" : "atomic store")
                    : "atomic load";
  }
  return is_store ? "store" : "load";
}

std::string line_of(const Site* site) {
  if (!site || !site->file) {
    return "a line that is not known";
  }
  return std::string(site->file) + ":" + std::to_string(site->line);
}

const char* relation(Record other, const Access& access) {
  if (interval_of(other) < interval_of(access.first_interval) || (other & kEarlierThreadgroup) != 0) {
    return "by different threadgroups, which no barrier orders";
  }
  if ((other & kManySimdgroups) != 0 || simdgroup_of(other) != simdgroup_of(access.record)) {
    return "by different simdgroups with no threadgroup_barrier for this memory in between";
  }
  return "by different threads of a simdgroup with no barrier for this memory in between";
}

} // namespace

Finding Reporter::make(const char* kind, const Site& site, const Place& place, const std::string& detail) {
  Finding finding;
  finding.kind = kind;
  finding.space = place.space;
  finding.buffer = place.buffer;
  finding.byte = place.byte;
  finding.size = place.size;
  finding.file = site.file ? site.file : "";
  finding.line = site.line;
  finding.detail = detail;
  if (site.caller_file) {
    finding.detail += std::string(" (called at ") + site.caller_file + ":" + std::to_string(site.caller_line) + ")";
  }
  return finding;
}

void Reporter::out_of_bounds(const Site& site, const Place& place, const std::string& bounds) {
  findings_.add(make("out_of_bounds", site, place, std::string(verb(site)) + " outside of " + bounds));
}

void Reporter::uninitialized_read(const Site& site, const Place& place, const std::string& what) {
  findings_.add(make("uninitialized_read", site, place, what));
}

void Reporter::race(const Site& site, const Place& place, const Verdict& verdict, const Access& access,
                    const char* memory) {
  const Site* other = sites_.find(site_of(verdict.conflict));
  const char* other_verb = other ? verb(*other) : (verdict.conflict_is_store ? "store" : "load");
  const Finding finding = make("race", site, place,
                               std::string(verb(site)) + " here and " + other_verb + " at " + line_of(other) + ", " +
                                   relation(verdict.conflict, access));
  if (!verdict.conflict_is_lockstep) {
    findings_.add(finding);
    return;
  }
  pending_ = {finding, *running(), memory, std::string(memory, place.size.value_or(0))};
  is_pending_ = true;
}

void Reporter::settle_pending() {
  is_pending_ = false;
  if (pending_.earlier.compare(0, std::string::npos, pending_.memory, pending_.earlier.size()) != 0) {
    findings_.add(pending_.finding, pending_.thread);
  }
}

} // namespace metalsim::checker
