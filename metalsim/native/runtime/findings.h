// Faults that a dispatch found, merged by what and where in the source they are.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace metalsim {

struct Finding {
  std::string kind;  ///< see runtime/request.h
  std::string space; ///< "device", "threadgroup", "thread", or empty
  std::optional<uint32_t> buffer;
  std::optional<int64_t> byte; ///< from the start of the buffer, variable or threadgroup memory
  std::optional<uint64_t> size;
  std::string file; ///< empty = not known
  uint32_t line = 0;
  std::string detail; ///< what the fields above do not say; equal for equal faults
};

struct Running; // observer.h

/// Thread-safe.
class Findings {
public:
  /// Of the thread that is running now, if there is one.
  void add(const Finding& finding);
  void add(const Finding& finding, const Running& thread);
  uint32_t size() const;                             ///< of different ones
  std::string json(const std::string& kernel) const; ///< a list; `kernel` is the name in each of them

private:
  struct Place {
    uint32_t threadgroup[3];
    uint32_t thread, simdgroup, lane;
  };
  struct Entry {
    Finding first;
    Place place;
    uint64_t occurrences;
  };
  void add(const Finding& finding, const Running* thread);

  mutable std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, std::string, uint32_t, std::string>, size_t> index_;
  std::vector<Entry> entries_;
};

} // namespace metalsim
