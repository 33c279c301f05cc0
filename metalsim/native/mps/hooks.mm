// at::mps::MPSHooks: what the rest of torch, torch.mps included, asks of the MPS backend.
#include <ATen/mps/MPSHooks.h>

#include "../metal/described_mac.h"
#include "allocator.h"
#include "stream_control.h"

#include <ATen/mps/MPSGeneratorImpl.h>
#pragma GCC visibility push(default)
#include <ATen/mps/MPSProfiler.h>
#pragma GCC visibility pop

#include <string>

namespace at::mps {

using metalsim::mps::Allocator;

void MPSHooks::init() const {}

bool MPSHooks::hasMPS() const {
  return true;
}

bool MPSHooks::isOnMacOSorNewer(unsigned major, unsigned minor) const {
  const std::string version = "macOS " + std::to_string(major) + "." + std::to_string(minor);
  return metalsim::metalsim_available(version.c_str());
}

Device MPSHooks::getDeviceFromPtr(void* data) const {
  return at::mps::getDeviceFromPtr(data);
}

// ---- generators -----------------------------------------------------------------------------------------------------

const Generator& MPSHooks::getDefaultGenerator(DeviceIndex) const {
  return detail::getDefaultMPSGenerator();
}

Generator MPSHooks::getNewGenerator(DeviceIndex) const {
  return detail::createMPSGenerator();
}

// ---- stream ---------------------------------------------------------------------------------------------------------

void MPSHooks::deviceSynchronize() const {
  metalsim::mps::synchronize();
}

void MPSHooks::commitStream() const {
  // Not by way of the stream's queue: PyTorch's sample of a custom operator calls torch::mps::commit() in a block on
  // it.
  @autoreleasepool {
    getDefaultMPSStream()->synchronize(SyncType::COMMIT);
  }
}

void* MPSHooks::getCommandBuffer() const {
  @autoreleasepool {
    MPSStream* const stream = getDefaultMPSStream();
    // The caller is to create its own encoder, and a command buffer has one at a time.
    stream->endKernelCoalescing();
    return stream->commandBuffer();
  }
}

void* MPSHooks::getDispatchQueue() const {
  return getDefaultMPSStream()->queue();
}

// ---- memory ---------------------------------------------------------------------------------------------------------

at::Allocator* MPSHooks::getMPSDeviceAllocator() const {
  return &Allocator::get();
}

void MPSHooks::emptyCache() const {
  Allocator::get().emptyCache();
}

size_t MPSHooks::getCurrentAllocatedMemory() const {
  return Allocator::get().getCurrentAllocatedMemory();
}

size_t MPSHooks::getDriverAllocatedMemory() const {
  return Allocator::get().getDriverAllocatedMemory();
}

size_t MPSHooks::getRecommendedMaxMemory() const {
  return Allocator::get().getRecommendedMaxMemory();
}

void MPSHooks::setMemoryFraction(double ratio) const {
  Allocator::get().setHighWatermarkRatio(ratio);
}

size_t MPSHooks::getMaxBufferLength() const {
  return [MPSDevice::getInstance()->device() maxBufferLength];
}

bool MPSHooks::isPinnedPtr(const void*) const {
  return false;
}

at::Allocator* MPSHooks::getPinnedMemoryAllocator() const {
  return c10::GetAllocator(c10::kCPU);
}

// ---- profiler -------------------------------------------------------------------------------------------------------

void MPSHooks::profilerStartTrace(const std::string& mode, bool wait_until_completed) const {
  getMPSProfiler().StartTrace(mode, wait_until_completed);
}

void MPSHooks::profilerStopTrace() const {
  getMPSProfiler().StopTrace();
}

// ---- events ---------------------------------------------------------------------------------------------------------

uint32_t MPSHooks::acquireEvent(bool enable_timing) const {
  return getMPSEventPool()->acquireEvent(enable_timing);
}

void MPSHooks::releaseEvent(uint32_t number) const {
  getMPSEventPool()->releaseEvent(number);
}

void MPSHooks::recordEvent(uint32_t number) const {
  getMPSEventPool()->recordEvent(number, /*syncEvent=*/true);
}

void MPSHooks::waitForEvent(uint32_t number) const {
  getMPSEventPool()->waitForEvent(number, /*syncEvent=*/true);
}

void MPSHooks::synchronizeEvent(uint32_t number) const {
  getMPSEventPool()->synchronizeEvent(number);
}

bool MPSHooks::queryEvent(uint32_t number) const {
  return getMPSEventPool()->queryEvent(number);
}

double MPSHooks::elapsedTimeOfEvents(uint32_t start, uint32_t end) const {
  return getMPSEventPool()->elapsedTime(start, end);
}

REGISTER_MPS_HOOKS(MPSHooks)

} // namespace at::mps
