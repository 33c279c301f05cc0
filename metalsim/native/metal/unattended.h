// Deferred work whose end somebody may learn of without waiting for the command buffer.
#pragma once

#include "execution.h"

namespace metalsim::metal {

/// Runs the submission on a thread of its own if nobody has waited for it after two seconds: host code may be blocked
/// on something that a completed handler or a shared event releases, which on a Mac happens without anybody's help.
void run_if_unattended(std::weak_ptr<ExecutionQueue> queue, std::weak_ptr<Submission> submission);

} // namespace metalsim::metal
