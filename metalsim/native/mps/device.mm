// at::mps::MPSDevice: the Mac that torch sees.
#include <ATen/mps/MPSDevice.h>

#include "../metal/described_mac.h"

#include <Metal/Metal.h>

namespace at::mps {

MPSDevice* MPSDevice::_device = nullptr;

MPSDevice::MPSDevice() : _mtl_device(MTLCreateSystemDefaultDevice()) {}

MPSDevice::~MPSDevice() {
  [_mtl_device release];
}

MPSDevice* MPSDevice::getInstance() {
  // Never deleted: tensors in static variables outlive any order of destruction.
  static MPSDevice* const device = new MPSDevice;
  _device = device;
  return device;
}

bool MPSDevice::isMacOS13Plus(MacOSVersion version) const {
  switch (version) {
  case MacOSVersion::MACOS_VER_14_4_PLUS:
    return metalsim::metalsim_available("macOS 14.4");
  case MacOSVersion::MACOS_VER_15_0_PLUS:
    return metalsim::metalsim_available("macOS 15.0");
  case MacOSVersion::MACOS_VER_15_1_PLUS:
    return metalsim::metalsim_available("macOS 15.1");
  case MacOSVersion::MACOS_VER_15_2_PLUS:
    return metalsim::metalsim_available("macOS 15.2");
  case MacOSVersion::MACOS_VER_26_0_PLUS:
    return metalsim::metalsim_available("macOS 26.0");
  case MacOSVersion::MACOS_VER_26_4_PLUS:
    return metalsim::metalsim_available("macOS 26.4");
  }
  return false;
}

std::string MPSDevice::getName() const {
  return metalsim::described_mac().gpu;
}

unsigned MPSDevice::getCoreCount() const {
  return metalsim::described_mac().cores;
}

bool is_available() {
  return true;
}

bool is_macos_13_or_newer(MacOSVersion version) {
  return MPSDevice::getInstance()->isMacOS13Plus(version);
}

bool is_apple_family_or_newer(AppleGPUFamily family) {
  return [MPSDevice::getInstance()->device() supportsFamily:static_cast<MTLGPUFamily>(family)];
}

} // namespace at::mps
