// Objects behind an address with bit 63 set: no pointer, so that the host cannot read through it by mistake.
#pragma once

#include "abi.h"

#include "exported.h"

/// Who knows the object behind such an address. The resolver throws for one that it does not know, or no more; messages
/// to it pass the exception on.
METALSIM_EXPORT void metalsim_set_handle_resolver(void* (*resolver)(void* handle));

namespace metalsim::objc {

/// The object itself, or the one behind a handle. Throws what the resolver throws.
Object* object_behind(void* object);

} // namespace metalsim::objc
