// The Mac that the software Metal says it is: what host code asks for before it chooses a branch.
#pragma once

#include <string>

namespace metalsim {

struct DescribedMac {
  std::string gpu; ///< MTLDevice's name, "Apple M4 Pro"
  int family;      ///< n of MTLGPUFamilyApple<n>
  unsigned cores;  ///< of the GPU
  int macos_major, macos_minor;
};

/// Thread-safe. What the environment says when the library is loaded, until it is set:
///   METALSIM_GPU    "M1", "M1 Max", ..., "M4 Pro" (the default); metal/described_mac.cpp has the table
///   METALSIM_MACOS  "14.0"; "15.0" by default
__attribute__((visibility("default"))) DescribedMac described_mac();
__attribute__((visibility("default"))) void describe_mac(const DescribedMac& mac);
/// The Mac with a GPU of the table. Throws std::invalid_argument that names the known ones.
__attribute__((visibility("default"))) DescribedMac mac_with(const std::string& gpu, const std::string& macos);
/// Whether the described macOS is at least "macOS 15.1", or "macos 15": what @available asks.
extern "C" __attribute__((visibility("default"))) bool metalsim_available(const char* platform_and_version);

} // namespace metalsim
