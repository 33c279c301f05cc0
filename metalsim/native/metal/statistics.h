// Counters behind metalsim_statistics(), see device_memory.h.
#pragma once

#include <atomic>
#include <cstdint>

namespace metalsim::metal {

struct Statistics {
  std::atomic<uint64_t> dispatches{0};                ///< encoded
  std::atomic<uint64_t> command_buffers{0};           ///< committed
  std::atomic<uint64_t> completed_command_buffers{0}; ///< with or without an error
  std::atomic<uint64_t> live_buffers{0};
  std::atomic<uint64_t> live_bytes{0};
};

inline Statistics statistics;

} // namespace metalsim::metal
