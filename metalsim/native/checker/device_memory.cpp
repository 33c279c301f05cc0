// Checks of buffers: see device_memory.h.
//
// The bounds of an access are those of the binding that its address was computed from, where the pass could trace it.
// An address from elsewhere (a pointer that may come from several buffers, or that was loaded from memory) may be in
// any buffer: then an access that runs from one buffer into another is not seen. An access inside of its buffer at a
// wrong index never is.
#include "device_memory.h"

#include <algorithm>

namespace metalsim::checker {

namespace {

bool is_writable(const abi::Kernel& kernel, uint32_t index) {
  for (uint32_t i = 0; i < kernel.argument_count; ++i) {
    const abi::Argument& argument = kernel.arguments[i];
    if (argument.kind == abi::ArgumentKind::buffer && argument.index == index) {
      return argument.is_writable;
    }
  }
  return true;
}

} // namespace

DeviceMemory::DeviceMemory(const Request& request, Reporter& reporter) : reporter_(reporter) {
  for (uint32_t index = 0; index < abi::kMaxBindings; ++index) {
    const Binding& binding = request.buffers[index];
    if (!binding.address) {
      continue;
    }
    const uint64_t begin = reinterpret_cast<uint64_t>(binding.memory);
    buffers_.push_back(
        {index, reinterpret_cast<uint64_t>(binding.address), begin, begin + binding.memory_size, nullptr});
    add_region(buffers_.back(), is_writable(*request.kernel, index));
  }
  for (Buffer& buffer : buffers_) {
    by_index_[buffer.index] = &buffer;
    for (const std::unique_ptr<Region>& region : regions_) {
      if (region->begin <= buffer.begin && buffer.end <= region->end) {
        buffer.region = region.get();
      }
    }
  }
}

void DeviceMemory::add_region(const Buffer& buffer, bool is_writable) {
  auto added = std::make_unique<Region>(Region{buffer.begin, buffer.end, nullptr});
  bool needs_shadow = is_writable;
  for (auto region = regions_.begin(); region != regions_.end();) {
    if ((*region)->begin < added->end && added->begin < (*region)->end) {
      added->begin = std::min(added->begin, (*region)->begin);
      added->end = std::max(added->end, (*region)->end);
      needs_shadow = needs_shadow || (*region)->shadow;
      region = regions_.erase(region);
    } else {
      ++region;
    }
  }
  if (needs_shadow) {
    added->shadow = std::make_unique<Shadow>(added->end - added->begin);
  }
  regions_.push_back(std::move(added));
}

void DeviceMemory::renumber() {
  for (const std::unique_ptr<Region>& region : regions_) {
    if (region->shadow) {
      region->shadow->renumber(intervals_);
    }
  }
  intervals_.renumber();
}

void DeviceMemory::begin_threadgroup() {
  if (!intervals_.next_threadgroup()) {
    renumber();
  }
}

void DeviceMemory::threadgroup_barrier() {
  if (!intervals_.next()) {
    renumber();
  }
}

void DeviceMemory::simdgroup_barrier(uint32_t simdgroup) {
  if (!intervals_.next_of_simdgroup(simdgroup)) {
    renumber();
  }
}

/// Of several bindings of the same memory, an access that is not known to come from one of them is taken to come from
/// the one whose address is the nearest below.
const DeviceMemory::Buffer* DeviceMemory::buffer_of(uint64_t address, uint64_t size, const Site& site) {
  if (site.buffer >= 0) {
    const Buffer* buffer = by_index_[site.buffer];
    return buffer && buffer->contains(address, size) ? buffer : nullptr;
  }
  const Buffer* best = nullptr;
  for (const Buffer& buffer : buffers_) {
    if (!buffer.contains(address, size)) {
      continue;
    }
    const bool is_above = buffer.address > address;
    const bool best_is_above = best && best->address > address;
    if (!best || (best_is_above && !is_above) || (best_is_above == is_above && buffer.address > best->address)) {
      best = &buffer;
    }
  }
  return best;
}

std::optional<uint32_t> DeviceMemory::find(uint64_t address, uint64_t size, const Site& site) {
  const Buffer* buffer = buffer_of(address, size, site);
  return buffer ? std::optional<uint32_t>(buffer->index) : std::nullopt;
}

std::optional<uint32_t> DeviceMemory::access(uint64_t address, uint64_t size, const Site& site,
                                             const Running& running) {
  const Buffer* buffer = buffer_of(address, size, site);
  if (!buffer) {
    report_bounds(address, size, site);
    return std::nullopt;
  }
  Region& region = *buffer->region;
  const AccessKind kind = kind_of(site);
  if (!region.shadow) {
    if (kind == AccessKind::load || kind == AccessKind::atomic_load) {
      return buffer->index;
    }
    region.shadow = std::make_unique<Shadow>(region.end - region.begin);
  }
  const Access access = intervals_.access(running.thread, site.number);
  const Verdict verdict = region.shadow->access(kind, address - region.begin, size, access);
  if (verdict.conflict != 0) {
    const int64_t byte = static_cast<int64_t>(region.begin + verdict.conflict_byte - buffer->begin);
    reporter_.race(site, {"device", buffer->index, byte, size}, verdict, access,
                   reinterpret_cast<const char*>(address));
  }
  return buffer->index;
}

const DeviceMemory::Buffer* DeviceMemory::nearest_buffer(uint64_t address, const Site& site) const {
  if (site.buffer >= 0) {
    return by_index_[site.buffer];
  }
  const Buffer* nearest = nullptr;
  uint64_t least = 0;
  for (const Buffer& buffer : buffers_) {
    const uint64_t distance = address < buffer.begin ? buffer.begin - address : address - std::min(address, buffer.end);
    if (!nearest || distance < least) {
      nearest = &buffer;
      least = distance;
    }
  }
  return nearest;
}

void DeviceMemory::report_bounds(uint64_t address, uint64_t size, const Site& site) {
  const Buffer* buffer = nearest_buffer(address, site);
  if (!buffer) {
    const bool is_known = site.buffer >= 0;
    const Place place{"device", is_known ? std::optional<uint32_t>(site.buffer) : std::nullopt, 0, size};
    reporter_.out_of_bounds(site, place, is_known ? "a buffer: nothing is bound to this index" : "every buffer");
    return;
  }
  const std::string bytes = std::to_string(buffer->end - buffer->begin);
  const char* certainty = site.buffer >= 0 ? "" : ", the nearest one";
  reporter_.out_of_bounds(site, {"device", buffer->index, static_cast<int64_t>(address - buffer->begin), size},
                          "the buffer of " + bytes + " bytes" + certainty);
}

} // namespace metalsim::checker
