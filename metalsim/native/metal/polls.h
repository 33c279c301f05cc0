// Host code that asks again and again whether something is done waits for it, though it calls nothing that waits.
#pragma once

#include <cstdint>

namespace metalsim::metal {

/// Deferred work runs at this many questions: so many that a program that only looks is not taken for one that waits.
inline constexpr uint32_t kPollsOfOneWait = 1000;

} // namespace metalsim::metal
