// The threadgroup address space: see threadgroup_memory.h.
#include "threadgroup_memory.h"

#include "observer.h"

#include <algorithm>

namespace metalsim {

namespace {

// A kernel may use 32 KiB; more is refused before it gets here, except where somebody wants to see what it would do.
constexpr uint64_t kVariableBytes = 2 * abi::kThreadgroupMemory;
// Poisoned bytes after each variable: a small overrun reads NaN instead of a neighbour's numbers.
constexpr uint64_t kGapBytes = 64;
constexpr uint64_t kMinimumAlignment = 16;

/// As fp16 and bf16 a NaN, as fp32 (two of them) a NaN, as an integer a large number.
constexpr uint16_t kPoison = 0xfffe;

/// Name of the kernel's [[threadgroup(index)]].
const char* argument_name(const abi::Kernel& kernel, uint32_t index) {
  for (uint32_t i = 0; i < kernel.argument_count; ++i) {
    const abi::Argument& argument = kernel.arguments[i];
    if (argument.kind == abi::ArgumentKind::threadgroup_memory && argument.index == index) {
      return argument.name;
    }
  }
  return "";
}

void poison(char* begin, char* end) {
  std::fill(reinterpret_cast<uint16_t*>(begin), reinterpret_cast<uint16_t*>(end), kPoison);
}

} // namespace

void ThreadgroupMemory::begin_dispatch(const Request& request) {
  uint64_t needed = kVariableBytes;
  for (uint64_t size : request.threadgroup_memory) {
    needed += round_up(size, kMinimumAlignment) + kGapBytes;
  }
  capacity_ = round_up(needed, kPageBytes);
  if (mapping_.size() < capacity_ + 2 * kPageBytes) {
    mapping_ = Mapping(capacity_ + 2 * kPageBytes);
    mapping_.make_accessible(kPageBytes, capacity_);
  }
  variables_.clear();
  threadgroup_ = 0;
  begin_threadgroup(request, false);
}

void ThreadgroupMemory::begin_threadgroup(const Request& request, bool observed) {
  used_ = 0;
  ++threadgroup_;
  for (uint32_t index = 0; index < abi::kMaxBindings; ++index) {
    const uint64_t size = request.threadgroup_memory[index];
    arguments_[index] =
        size ? place(size, kMinimumAlignment, argument_name(*request.kernel, index), observed) : nullptr;
  }
}

void* ThreadgroupMemory::variable(uint32_t id, uint64_t size, uint64_t alignment, const char* name, bool observed) {
  if (id >= variables_.size()) {
    variables_.resize(id + 1);
  }
  Variable& variable = variables_[id];
  if (variable.threadgroup != threadgroup_) {
    variable.address = place(size, std::max(alignment, kMinimumAlignment), name, observed);
    variable.threadgroup = threadgroup_;
  }
  return variable.address;
}

void* ThreadgroupMemory::place(uint64_t size, uint64_t alignment, const char* name, bool observed) {
  const uint64_t offset = round_up(used_, alignment);
  const uint64_t end = round_up(offset + size, kMinimumAlignment) + kGapBytes;
  if (end > capacity_) {
    return nullptr;
  }
  poison(address() + used_, address() + end);
  used_ = end;
  if (observed) {
    observer::threadgroup_memory_allocated(offset, size, name);
  }
  return address() + offset;
}

bool ThreadgroupMemory::guards(uintptr_t address) const {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(mapping_.address());
  const uintptr_t arena = begin + kPageBytes;
  return address >= begin && address < begin + mapping_.size() && (address < arena || address >= arena + capacity_);
}

} // namespace metalsim
