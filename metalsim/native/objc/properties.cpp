// The accessors of properties that clang synthesises, and the check of for (... in ...).
#include "arc.h"
#include "lookup.h"
#include "selectors.h"

#include <array>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>

using namespace metalsim::objc;

namespace {

/// Atomic properties share a few locks, chosen by their address.
std::mutex& property_mutex(const void* address) {
  static auto* mutexes = new std::array<std::mutex, 64>;
  return (*mutexes)[(reinterpret_cast<uintptr_t>(address) >> 4) % mutexes->size()];
}

enum class Ownership { retained, copied };

void set_property(void* self, ptrdiff_t offset, void* value, bool is_atomic, Ownership ownership) {
  auto** variable = reinterpret_cast<void**>(static_cast<char*>(self) + offset);
  if (value != nullptr && ownership == Ownership::copied) {
    value = send<void*>(value, known_selectors().copy);
  } else {
    objc_retain(value);
  }
  void* old;
  if (is_atomic) {
    const std::lock_guard lock(property_mutex(variable));
    old = *variable;
    *variable = value;
  } else {
    old = *variable;
    *variable = value;
  }
  objc_release(old);
}

} // namespace

METALSIM_EXPORT void* objc_getProperty(void* self, Selector, ptrdiff_t offset, bool is_atomic) {
  auto** variable = reinterpret_cast<void**>(static_cast<char*>(self) + offset);
  if (!is_atomic) {
    return *variable;
  }
  void* value;
  {
    const std::lock_guard lock(property_mutex(variable));
    value = objc_retain(*variable);
  }
  return objc_autorelease(value);
}

METALSIM_EXPORT void objc_setProperty(void* self, Selector, ptrdiff_t offset, void* value, bool is_atomic,
                                      signed char copies) {
  set_property(self, offset, value, is_atomic, copies != 0 ? Ownership::copied : Ownership::retained);
}

METALSIM_EXPORT void objc_setProperty_atomic(void* self, Selector, void* value, ptrdiff_t offset) {
  set_property(self, offset, value, true, Ownership::retained);
}

METALSIM_EXPORT void objc_setProperty_nonatomic(void* self, Selector, void* value, ptrdiff_t offset) {
  set_property(self, offset, value, false, Ownership::retained);
}

METALSIM_EXPORT void objc_setProperty_atomic_copy(void* self, Selector, void* value, ptrdiff_t offset) {
  set_property(self, offset, value, true, Ownership::copied);
}

METALSIM_EXPORT void objc_setProperty_nonatomic_copy(void* self, Selector, void* value, ptrdiff_t offset) {
  set_property(self, offset, value, false, Ownership::copied);
}

METALSIM_EXPORT void objc_copyStruct(void* to, const void* from, ptrdiff_t size, bool is_atomic, bool) {
  if (!is_atomic) {
    memmove(to, from, static_cast<size_t>(size));
    return;
  }
  // One of the two is the property, the other a variable of the caller; both locks, in an order that cannot deadlock.
  std::mutex& left = property_mutex(to);
  std::mutex& right = property_mutex(from);
  if (&left == &right) {
    const std::lock_guard lock(left);
    memmove(to, from, static_cast<size_t>(size));
  } else {
    const std::scoped_lock lock(left, right);
    memmove(to, from, static_cast<size_t>(size));
  }
}

METALSIM_EXPORT void objc_copyCppObjectAtomic(void* to, const void* from, void (*copy)(void* to, const void* from)) {
  std::mutex& left = property_mutex(to);
  std::mutex& right = property_mutex(from);
  if (&left == &right) {
    const std::lock_guard lock(left);
    copy(to, from);
  } else {
    const std::scoped_lock lock(left, right);
    copy(to, from);
  }
}

METALSIM_EXPORT void objc_enumerationMutation(void* collection) {
  throw std::runtime_error(std::string("Collection of class ") + object_behind(collection)->isa->data->name +
                           " was mutated while being enumerated: finish the loop first, or enumerate a copy");
}
