// Committing and waiting for torch's stream from outside of its queue.
#pragma once

#include "../metal/compiler.h"

namespace metalsim::mps {

/// Commits what is encoded on torch's stream, waits for all of it, and raises what failed. It waits for the stream's
/// queue: from a block on that queue it would wait for itself, which the queue refuses.
METALSIM_PUBLIC void synchronize();

} // namespace metalsim::mps
