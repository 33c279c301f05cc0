#pragma once

namespace metalsim::foundation {

/// What metalsim_availability returns for yes: boxing it makes no new string.
extern const char kIsAvailable[];

} // namespace metalsim::foundation
