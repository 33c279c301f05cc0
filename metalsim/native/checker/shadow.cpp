// Shadow memory: see shadow.h.
#include "shadow.h"

#include <algorithm>
#include <utility>

namespace metalsim::checker {

namespace {

void note(Record other, bool is_store, bool is_lockstep, uint64_t byte, Verdict& verdict) {
  if (verdict.conflict == 0 || (verdict.conflict_is_lockstep && !is_lockstep)) {
    verdict.conflict = other;
    verdict.conflict_is_store = is_store;
    verdict.conflict_is_lockstep = is_lockstep;
    verdict.conflict_byte = byte;
  }
}

/// Atomic accesses hide no plain write of the same interval: another thread's atomic access would race with it.
Record record_of_atomic_write(Record past, const Access& now) {
  if ((past & kAtomicRecord) != 0) {
    return merged(past, now);
  }
  const bool same_interval = ((past ^ now.record) & kIntervalField) == 0;
  return same_interval ? past : now.record;
}

/// log2 of the widest cells that an access consists of.
uint32_t cell_shift(uint64_t offset, uint64_t size) {
  const uint64_t bits = offset | size;
  return (bits & 1) != 0 ? 0 : ((bits & 2) != 0 ? 1 : 2);
}

} // namespace

template <AccessKind kind>
__attribute__((always_inline)) inline void Shadow::visit(Cell& cell, uint64_t byte, const Access& now,
                                                         Verdict& verdict) {
  constexpr bool is_atomic = kind != AccessKind::load && kind != AccessKind::store;
  constexpr bool needs_value = kind != AccessKind::store && kind != AccessKind::atomic_store;
  constexpr bool is_write = kind != AccessKind::load && kind != AccessKind::atomic_load;
  if (needs_value && cell.write == 0 && !verdict.uninitialized) {
    verdict.uninitialized = true;
    verdict.uninitialized_byte = byte;
  }
  if (unordered(cell.write, now) && !(is_atomic && (cell.write & kAtomicRecord) != 0)) {
    const bool is_lockstep = kind == AccessKind::store && of_one_instruction(cell.write, now);
    note(cell.write, true, is_lockstep, byte, verdict);
  }
  if (is_write && unordered(cell.read, now)) {
    note(cell.read, false, false, byte, verdict);
  }
  if (kind == AccessKind::load) {
    cell.read = merged(cell.read, now);
  } else if (kind == AccessKind::store) {
    cell.write = now.record;
  } else if (is_write) {
    cell.write = record_of_atomic_write(cell.write, now);
  }
  // An atomic load leaves no record: beside plain reads it would need a third one. What is missed for it is a plain
  // write that comes later in the interval; one that came before is found.
}

template <AccessKind kind>
__attribute__((always_inline)) inline void Shadow::walk(uint64_t offset, uint64_t size, const Access& now,
                                                        Verdict& verdict) {
  const uint32_t shift = cell_shift(offset, size);
  const uint64_t end = offset + size;
  while (offset < end) {
    Page& cells = page(offset / kBytes, shift);
    const uint64_t start = offset / kBytes * kBytes;
    const uint64_t stop = std::min(end, start + kBytes);
    Cell* first = cells.cells.get();
    const uint32_t shift_of_cells = cells.shift;
    for (; offset < stop; offset += uint64_t{1} << shift_of_cells) {
      visit<kind>(first[(offset - start) >> shift_of_cells], offset, now, verdict);
    }
  }
}

Verdict Shadow::access(AccessKind kind, uint64_t offset, uint64_t size, const Access& now) {
  Verdict verdict;
  if (kind == AccessKind::load) {
    walk<AccessKind::load>(offset, size, now, verdict);
  } else if (kind == AccessKind::store) {
    walk<AccessKind::store>(offset, size, now, verdict);
  } else {
    const Access atomic{now.record | kAtomicRecord, now.first_interval};
    switch (kind) {
    case AccessKind::atomic_load:
      walk<AccessKind::atomic_load>(offset, size, atomic, verdict);
      break;
    case AccessKind::atomic_store:
      walk<AccessKind::atomic_store>(offset, size, atomic, verdict);
      break;
    default:
      walk<AccessKind::atomic_modify>(offset, size, atomic, verdict);
    }
  }
  return verdict;
}

Shadow::Page& Shadow::prepared_page(uint64_t index, uint32_t shift) {
  Page& page = pages_[index];
  if (!page.cells) {
    page.shift = shift;
    page.cells = std::make_unique<Cell[]>(page.count());
  } else if (page.shift > shift) {
    refine(page, shift);
  }
  page.touched = true;
  return page;
}

void Shadow::refine(Page& page, uint32_t shift) {
  const uint32_t parts = page.shift - shift;
  page.shift = shift;
  auto fine = std::make_unique<Cell[]>(page.count());
  for (uint64_t index = 0; index < page.count(); ++index) {
    fine[index] = page.cells[index >> parts];
  }
  page.cells = std::move(fine);
}

void Shadow::clear() {
  for (Page& page : pages_) {
    if (page.touched) {
      std::fill_n(page.cells.get(), page.count(), Cell{0, 0});
      page.touched = false;
    }
  }
}

void Shadow::renumber(const Intervals& intervals) {
  for (Page& page : pages_) {
    for (uint64_t index = 0; page.cells && index < page.count(); ++index) {
      page.cells[index].write = intervals.renumbered(page.cells[index].write);
      page.cells[index].read = intervals.renumbered(page.cells[index].read);
    }
  }
}

} // namespace metalsim::checker
