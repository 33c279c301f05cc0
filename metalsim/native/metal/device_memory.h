// What the software Metal offers beyond Apple's interface, to the software `mps` device only.
#pragma once

#include <cstdint>

extern "C" {
/// Host address of a buffer's first byte, also of one with private storage; `buffer` is an id<MTLBuffer>, null for
/// null. Throws for a released buffer, and for an address inside of one (a view's data_ptr()).
__attribute__((visibility("default"))) void* metalsim_buffer_contents(void* buffer);
/// The bytes of the same.
__attribute__((visibility("default"))) uint64_t metalsim_buffer_length(void* buffer);
/// Tells a compute encoder (an id<MTLComputeCommandEncoder>) that another operation of torch begins to use it: bindings
/// that it finds are another's. With METALSIM_STRICT_BINDINGS=1 a dispatch that uses one of those is refused.
__attribute__((visibility("default"))) void metalsim_begin_operation(void* encoder);

struct MetalsimStatistics {
  uint64_t dispatches, command_buffers, completed_command_buffers, live_buffers, live_bytes;
};
__attribute__((visibility("default"))) MetalsimStatistics metalsim_statistics();
}
