// From an encoded dispatch to a request of the runtime's, and its run.
#pragma once

#include "commands.h"

namespace metalsim::metal {

/// Runs a dispatch on all cores, without checks. Throws ExecutionFailed for what the kernel did wrong.
void run_plainly(const DispatchCommand& dispatch);

} // namespace metalsim::metal
