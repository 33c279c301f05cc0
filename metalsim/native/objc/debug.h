// METALSIM_OBJC_DEBUG=1: what the runtime notices is printed.
#pragma once

namespace metalsim::objc {

bool debugging();

} // namespace metalsim::objc
