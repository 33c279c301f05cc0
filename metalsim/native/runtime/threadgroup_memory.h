// The threadgroup address space: one arena for each host thread, laid out afresh for every threadgroup.
#pragma once

#include "memory.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace metalsim {

struct Request;

class ThreadgroupMemory {
public:
  /// Makes room for the [[threadgroup(n)]] arguments of `request` and for the kernel's own variables.
  void begin_dispatch(const Request& request);
  /// Forgets what the last threadgroup had, and places and poisons the arguments.
  void begin_threadgroup(const Request& request, bool observed);

  /// Variable `id`; the first call of a threadgroup places and poisons it. Null if there is no room left.
  void* variable(uint32_t id, uint64_t size, uint64_t alignment, const char* name, bool observed);
  /// Argument `index`, the same in every threadgroup of a dispatch; null if the request gives it no bytes.
  void* argument(uint32_t index) const { return arguments_[index]; }

  char* address() const { return mapping_.address() + kPageBytes; }
  uint64_t capacity() const { return capacity_; }
  /// Whether an address lies in the pages before and after the arena.
  bool guards(uintptr_t address) const;

private:
  struct Variable {
    uint64_t threadgroup = 0; ///< in which it has been placed: a value of threadgroup_
    void* address = nullptr;
  };

  void* place(uint64_t size, uint64_t alignment, const char* name, bool observed);

  Mapping mapping_;
  uint64_t capacity_ = 0;
  uint64_t used_ = 0;
  uint64_t threadgroup_ = 0; ///< counts threadgroups
  std::vector<Variable> variables_;
  void* arguments_[abi::kMaxBindings] = {};
};

} // namespace metalsim
