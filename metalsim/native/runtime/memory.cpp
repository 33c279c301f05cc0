// Guarded memory: see memory.h.
#include "memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

namespace metalsim {

namespace {

void* reserve_pages(size_t size) {
  void* pages = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

[[noreturn]] void out_of_memory(size_t size) {
  std::fprintf(stderr, "metalsim: could not get %zu bytes from the operating system; use fewer workers\n", size);
  std::abort();
}

// Wide enough that indices which a kernel computes from an unbound buffer usually stay inside of its own part.
constexpr size_t kUnboundBytes = size_t{64} << 20;

const Mapping& unbound_memory() {
  static const Mapping mapping(abi::kMaxBindings * kUnboundBytes);
  return mapping;
}

/// Where the accessible part of a guarded allocation begins, and how long it is, in whole pages.
size_t guarded_pages_bytes(uint64_t size) {
  return round_up(std::max<uint64_t>(size, 1), kPageBytes);
}

uint64_t guarded_bytes(uint64_t size) {
  return round_up(std::max<uint64_t>(size, 1), 16);
}

} // namespace

Mapping::Mapping(size_t size) : address_(static_cast<char*>(reserve_pages(size))), size_(size) {
  if (!address_) {
    out_of_memory(size);
  }
}

Mapping::~Mapping() {
  if (address_) {
    munmap(address_, size_);
  }
}

void Mapping::make_accessible(size_t offset, size_t size) const {
  if (mprotect(address_ + offset, size, PROT_READ | PROT_WRITE) != 0) {
    out_of_memory(size);
  }
}

void* unbound_buffer(uint32_t index) {
  return unbound_memory().address() + index * kUnboundBytes;
}

std::optional<uint32_t> unbound_buffer_index(uintptr_t address) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(unbound_memory().address());
  if (address < first || address >= first + unbound_memory().size()) {
    return std::nullopt;
  }
  return static_cast<uint32_t>((address - first) / kUnboundBytes);
}

} // namespace metalsim

using namespace metalsim;

extern "C" void* metalsim_allocate_guarded(uint64_t size) {
  const size_t pages = guarded_pages_bytes(size);
  char* reserved = static_cast<char*>(reserve_pages(pages + 2 * kPageBytes));
  if (!reserved) {
    return nullptr;
  }
  if (mprotect(reserved + kPageBytes, pages, PROT_READ | PROT_WRITE) != 0) {
    munmap(reserved, pages + 2 * kPageBytes);
    return nullptr;
  }
  return reserved + kPageBytes + pages - guarded_bytes(size);
}

extern "C" void metalsim_release_guarded(void* pointer, uint64_t size) {
  if (!pointer) {
    return;
  }
  const size_t pages = guarded_pages_bytes(size);
  char* end = static_cast<char*>(pointer) + guarded_bytes(size);
  munmap(end - pages - kPageBytes, pages + 2 * kPageBytes);
}
