#include "settings.h"

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace metalsim::metal {

namespace {

/// The position of a variable's value among `names`; the first one if the variable is not set.
template <size_t N> size_t choice(const char* variable, const std::array<const char*, N>& names) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0') {
    return 0;
  }
  std::string known;
  for (size_t i = 0; i < N; ++i) {
    if (std::string(names[i]) == value) {
      return i;
    }
    known += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  throw std::runtime_error(std::string(variable) + " is '" + value + "'; it must be one of " + known);
}

/// The number that a variable holds; 0 if it is not set.
uint64_t number(const char* variable, const char* unit, uint64_t most) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0') {
    return 0;
  }
  char* end = nullptr;
  const uint64_t number = std::strtoull(value, &end, 10);
  if (*end != '\0' || *value == '-' || number > most) {
    throw std::runtime_error(std::string(variable) + " is '" + value + "'; it must be a number of " + unit +
                             ", at most " + std::to_string(most));
  }
  return number;
}

bool is_on(const char* variable) {
  return choice<2>(variable, {"0", "1"}) == 1;
}

Settings read_environment() {
  Settings read;
  read.execution = static_cast<Execution>(choice<4>("METALSIM_EXECUTION", {"deferred", "commit", "thread", "eager"}));
  read.validation = static_cast<Validation>(choice<2>("METALSIM_VALIDATION", {"raise", "abort"}));
  read.delay_microseconds = static_cast<uint32_t>(number("METALSIM_EXECUTION_DELAY_US", "microseconds", 60'000'000));
  read.strict_bindings = is_on("METALSIM_STRICT_BINDINGS");
  read.max_products = number("METALSIM_MAX_PRODUCTS", "8x8 matrix products", uint64_t{1} << 60);
  return read;
}

} // namespace

const Settings& settings() {
  static const Settings read = read_environment();
  return read;
}

} // namespace metalsim::metal
