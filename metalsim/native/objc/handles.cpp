#include "handles.h"

#include <stdexcept>

namespace metalsim::objc {

namespace {

std::atomic<void* (*)(void*)> the_resolver{nullptr};

} // namespace

Object* object_behind(void* object) {
  if (reinterpret_cast<intptr_t>(object) >= 0) {
    return static_cast<Object*>(object);
  }
  auto* resolve = the_resolver.load(std::memory_order_acquire);
  if (resolve == nullptr) {
    throw std::runtime_error(
        "A message was sent to an address with bit 63 set, which is no object and, before the Metal "
        "device is made, no handle of a buffer either");
  }
  return static_cast<Object*>(resolve(object));
}

} // namespace metalsim::objc

using namespace metalsim::objc;

void metalsim_set_handle_resolver(void* (*resolver)(void*)) {
  the_resolver.store(resolver, std::memory_order_release);
}
