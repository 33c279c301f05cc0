// Unique names of methods.
#pragma once

#include "abi.h"

namespace metalsim::objc {

Selector selector(const char* name);

/// Selectors that the runtime itself sends.
struct KnownSelectors {
  Selector retain, release, autorelease, dealloc, alloc, init, initialize, load, copy, construct, destruct;
  Selector self_class, is_kind_of_class, responds_to_selector, self;
};
const KnownSelectors& known_selectors();

} // namespace metalsim::objc
