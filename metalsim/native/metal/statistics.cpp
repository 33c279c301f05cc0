#include "statistics.h"

#include "device_memory.h"

extern "C" MetalsimStatistics metalsim_statistics() {
  const metalsim::metal::Statistics& now = metalsim::metal::statistics;
  return {now.dispatches, now.command_buffers, now.completed_command_buffers, now.live_buffers, now.live_bytes};
}
