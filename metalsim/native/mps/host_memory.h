// The host's view of an mps storage: on the device, data() is an id<MTLBuffer> and no address.
#pragma once

#include "../metal/compiler.h"

#include <c10/core/Storage.h>

namespace metalsim::mps {

/// The address of a storage's first byte for the host; null for an empty one. Does not synchronise.
void* host_address(const c10::Storage& storage);

/// A CPU storage over the same memory; it keeps the mps storage alive. Does not synchronise.
METALSIM_PUBLIC c10::Storage host_alias(const c10::Storage& storage);

/// Gives an mps storage another size; keeps its first bytes. Synchronises.
void resize_storage(c10::StorageImpl& storage, size_t bytes);

} // namespace metalsim::mps
