// The records of a stretch of memory: what its bytes were last accessed by.
//
// Memory is divided into pages, which get their cells when they are first accessed. A cell stands for 4 bytes until an
// access needs finer ones, then for 2 or 1: kernels access a piece of memory in one width most of the time, so that the
// cost is that of the width and the answer is still exact to the byte.
#pragma once

#include "intervals.h"
#include "record.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace metalsim::checker {

enum class AccessKind { load, store, atomic_load, atomic_store, atomic_modify };

/// What is wrong with an access. Bytes count from the start of the memory.
struct Verdict {
  Record conflict = 0; ///< an access that is unordered with this one; 0 = none
  bool conflict_is_store = false;
  bool conflict_is_lockstep = false; ///< both are stores of one instruction: a race only if their values differ
  uint64_t conflict_byte = 0;
  bool uninitialized = false;
  uint64_t uninitialized_byte = 0;
};

class Shadow {
public:
  explicit Shadow(uint64_t size) { grow(size); }

  /// Makes room for at least `size` bytes of memory; what is recorded stays.
  void grow(uint64_t size) {
    const uint64_t pages = (size + kBytes - 1) / kBytes;
    if (pages > pages_.size()) {
      pages_.resize(pages);
    }
  }

  /// Checks an access to bytes that are inside of the memory, and records it.
  Verdict access(AccessKind kind, uint64_t offset, uint64_t size, const Access& now);
  /// Forgets all accesses.
  void clear();
  /// Brings all records into the numbers that hold after intervals.renumber().
  void renumber(const Intervals& intervals);

private:
  static constexpr uint64_t kBytes = 1024; ///< of memory in a page
  static constexpr uint32_t kCoarsest = 2; ///< log2 of the bytes of a cell

  struct Cell {
    Record write;
    Record read;
  };
  struct Page {
    std::unique_ptr<Cell[]> cells; ///< null = never accessed
    uint32_t shift = kCoarsest;
    bool touched = false; ///< since clear()

    uint64_t count() const { return kBytes >> shift; }
  };

  __attribute__((always_inline)) Page& page(uint64_t index, uint32_t shift) {
    Page& page = pages_[index];
    return page.touched && page.shift <= shift ? page : prepared_page(index, shift);
  }
  Page& prepared_page(uint64_t index, uint32_t shift);
  static void refine(Page& page, uint32_t shift);
  template <AccessKind kind> void walk(uint64_t offset, uint64_t size, const Access& now, Verdict& verdict);
  template <AccessKind kind> static void visit(Cell& cell, uint64_t byte, const Access& now, Verdict& verdict);

  std::vector<Page> pages_;
};

} // namespace metalsim::checker
