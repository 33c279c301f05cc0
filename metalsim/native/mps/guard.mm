// at::mps::MPSGuardImpl: devices and events for code that knows only c10's interface (torch.Event, autograd's threads).
//
// The header registers the guard, in every file that includes it.
#include <ATen/mps/MPSGuardImpl.h>

#include "stream_control.h"

namespace at::mps {

namespace {

id_t number_of(void* event) {
  return static_cast<id_t>(reinterpret_cast<uintptr_t>(event));
}

} // namespace

void MPSGuardImpl::createEvent(mpsEvent_t* event, const EventFlag flag) const {
  const bool enables_timing = flag != EventFlag::PYTORCH_DEFAULT;
  *event = reinterpret_cast<mpsEvent_t>(static_cast<uintptr_t>(getMPSEventPool()->acquireEvent(enables_timing)));
}

void MPSGuardImpl::destroyEvent(void* event, const DeviceIndex) const noexcept {
  if (event == nullptr) {
    return;
  }
  try {
    getMPSEventPool()->releaseEvent(number_of(event));
  } catch (const c10::Error& error) {
    TORCH_WARN(error.what_without_backtrace());
  }
}

void MPSGuardImpl::record(void** event, const Stream& stream, const DeviceIndex device_index,
                          const EventFlag flag) const {
  TORCH_CHECK(device_index == -1 || device_index == stream.device_index(), "Event device index ", device_index,
              " does not match recording stream's device index ", stream.device_index(), ".");
  if (*event == nullptr) {
    mpsEvent_t created = nullptr;
    createEvent(&created, flag);
    *event = created;
  }
  getMPSEventPool()->recordEvent(number_of(*event), /*syncEvent=*/true);
}

void MPSGuardImpl::block(void* event, const Stream&) const {
  if (event != nullptr) {
    getMPSEventPool()->waitForEvent(number_of(event), /*syncEvent=*/false);
  }
}

bool MPSGuardImpl::queryEvent(void* event) const {
  return event == nullptr || getMPSEventPool()->queryEvent(number_of(event));
}

void MPSGuardImpl::synchronizeEvent(void* event) const {
  if (event != nullptr) {
    getMPSEventPool()->synchronizeEvent(number_of(event));
  }
}

double MPSGuardImpl::elapsedTime(void* start, void* end, const DeviceIndex) const {
  TORCH_CHECK(start != nullptr && end != nullptr, "Both events must be recorded before calculating elapsed time.");
  return getMPSEventPool()->elapsedTime(number_of(start), number_of(end));
}

void MPSGuardImpl::synchronizeDevice(const DeviceIndex) const {
  metalsim::mps::synchronize();
}

} // namespace at::mps
