#pragma once

#include "abi.h"

namespace metalsim::objc {

/// Sets all weak references to an object that is being freed to null.
void clear_weak_references(Object* object);

} // namespace metalsim::objc
