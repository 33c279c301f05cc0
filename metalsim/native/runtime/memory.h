// Pages of memory with holes around them: the hole is what turns an access past the end into a fault.
#pragma once

#include "../abi.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace metalsim {

inline constexpr size_t kPageBytes = 4096;

constexpr uint64_t round_up(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Reserved address space that is given back at the end of its life; nothing in it may be touched at first.
class Mapping {
public:
  Mapping() = default;
  explicit Mapping(size_t size);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Mapping(Mapping&& other) noexcept { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    swap(other);
    return *this;
  }

  /// Both in whole pages.
  void make_accessible(size_t offset, size_t size) const;
  char* address() const { return address_; }
  size_t size() const { return size_; }

private:
  void swap(Mapping& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
  }

  char* address_ = nullptr;
  size_t size_ = 0;
};

/// What the kernel gets for [[buffer(index)]] when nothing is bound: an address at which every access faults.
void* unbound_buffer(uint32_t index);
/// The index for which `address` was given out, or an address that a kernel reached from it.
std::optional<uint32_t> unbound_buffer_index(uintptr_t address);

} // namespace metalsim

extern "C" {
/// Memory for a buffer whose end (size rounded up to 16) lies directly before a page that may not be touched, and whose
/// first page comes directly after one. Zeroed; null if there is no memory.
void* metalsim_allocate_guarded(uint64_t size);
/// `size` as it was given to metalsim_allocate_guarded.
void metalsim_release_guarded(void* pointer, uint64_t size);
}
