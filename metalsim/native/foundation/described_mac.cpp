#include "../metal/described_mac.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <strings.h>

namespace metalsim {

namespace {

struct KnownGpu {
  const char* name; ///< without "Apple"
  int family;
  unsigned cores; ///< of the largest variant that is sold
};

constexpr std::array kGpus{
    KnownGpu{"M1", 7, 8},  KnownGpu{"M1 Pro", 7, 16}, KnownGpu{"M1 Max", 7, 32}, KnownGpu{"M1 Ultra", 7, 64},
    KnownGpu{"M2", 8, 10}, KnownGpu{"M2 Pro", 8, 19}, KnownGpu{"M2 Max", 8, 38}, KnownGpu{"M2 Ultra", 8, 76},
    KnownGpu{"M3", 9, 10}, KnownGpu{"M3 Pro", 9, 18}, KnownGpu{"M3 Max", 9, 40}, KnownGpu{"M3 Ultra", 9, 80},
    KnownGpu{"M4", 9, 10}, KnownGpu{"M4 Pro", 9, 20}, KnownGpu{"M4 Max", 9, 40}, KnownGpu{"M5", 10, 10},
};

struct Version {
  int major, minor;
};

/// Parses "15", "15.1" or "15.1.2"; the last number is not compared.
Version parse_version(const std::string& text, const char* what) {
  int major = 0;
  int minor = 0;
  int patch = 0;
  char rest = 0;
  const int numbers = sscanf(text.c_str(), "%d.%d.%d%c", &major, &minor, &patch, &rest);
  const bool is_version = numbers == 3 || (numbers >= 1 && text.find_first_not_of("0123456789.") == std::string::npos);
  if (!is_version || major < 10) {
    throw std::invalid_argument(std::string(what) + " is \"" + text +
                                "\"; it must be a version of macOS such as \"14.0\"");
  }
  return {major, minor};
}

std::string without_apple(const std::string& gpu) {
  constexpr std::string_view prefix = "Apple ";
  const bool has_prefix = strncasecmp(gpu.c_str(), prefix.data(), prefix.size()) == 0;
  return has_prefix ? gpu.substr(prefix.size()) : gpu;
}

DescribedMac from_environment() {
  const char* gpu = getenv("METALSIM_GPU");
  const char* macos = getenv("METALSIM_MACOS");
  return mac_with(gpu == nullptr ? "M4 Pro" : gpu, macos == nullptr ? "15.0" : macos);
}

struct Current {
  std::mutex mutex;
  bool is_set = false;
  DescribedMac mac;
};

Current& current() {
  static auto* the_current = new Current;
  return *the_current;
}

} // namespace

DescribedMac described_mac() {
  Current& now = current();
  const std::lock_guard lock(now.mutex);
  if (!now.is_set) {
    now.mac = from_environment();
    now.is_set = true;
  }
  return now.mac;
}

void describe_mac(const DescribedMac& mac) {
  Current& now = current();
  const std::lock_guard lock(now.mutex);
  now.mac = mac;
  now.is_set = true;
}

DescribedMac mac_with(const std::string& gpu, const std::string& macos) {
  const Version version = parse_version(macos, "The described macOS");
  const std::string wanted = without_apple(gpu);
  std::string known;
  for (const KnownGpu& candidate : kGpus) {
    if (strcasecmp(candidate.name, wanted.c_str()) == 0) {
      return {std::string("Apple ") + candidate.name, candidate.family, candidate.cores, version.major, version.minor};
    }
    known += (known.empty() ? "" : ", ") + std::string(candidate.name);
  }
  throw std::invalid_argument("The described GPU is \"" + gpu + "\"; it must be one of " + known);
}

} // namespace metalsim
