// What the runtime found in a kernel, as a sentence.
#pragma once

#include <string>

namespace metalsim::metal {

/// The first finding of metalsim_dispatch's answer: where, what, which buffer.
std::string first_finding(const std::string& json);

} // namespace metalsim::metal
