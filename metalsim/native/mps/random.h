// Random numbers for operators that run on the CPU in the device's place.
#pragma once

#include <ATen/core/Generator.h>

#include <optional>

namespace metalsim::mps {

/// A CPU generator for one operator, drawn from a generator of mps, or from the default one. Thread-safe.
at::Generator host_generator(const std::optional<at::Generator>& generator);

} // namespace metalsim::mps
