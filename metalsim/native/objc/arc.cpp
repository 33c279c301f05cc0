#include "arc.h"

#include "lookup.h"
#include "selectors.h"

using namespace metalsim::objc;

// These send messages: a class may have its own counting, as a block does. They return what they got, handle or not.

void* objc_retain(void* object) {
  if (object != nullptr) {
    send<void*>(object, known_selectors().retain);
  }
  return object;
}

void objc_release(void* object) {
  if (object != nullptr) {
    send<void>(object, known_selectors().release);
  }
}

void* objc_autorelease(void* object) {
  if (object != nullptr) {
    send<void*>(object, known_selectors().autorelease);
  }
  return object;
}

void* objc_retainAutorelease(void* object) {
  return objc_autorelease(objc_retain(object));
}

// A Mac skips the pool when caller and callee both know of each other; here the object always goes through it.
METALSIM_EXPORT void* objc_autoreleaseReturnValue(void* object) {
  return objc_autorelease(object);
}
METALSIM_EXPORT void* objc_retainAutoreleaseReturnValue(void* object) {
  return objc_retainAutorelease(object);
}
METALSIM_EXPORT void* objc_retainAutoreleasedReturnValue(void* object) {
  return objc_retain(object);
}
METALSIM_EXPORT void* objc_claimAutoreleasedReturnValue(void* object) {
  return objc_retain(object);
}
METALSIM_EXPORT void* objc_unsafeClaimAutoreleasedReturnValue(void* object) {
  return object;
}

METALSIM_EXPORT void objc_storeStrong(void** place, void* object) {
  void* old = *place;
  if (old == object) {
    return;
  }
  objc_retain(object);
  *place = object;
  objc_release(old);
}

// clang's short forms of common messages.

METALSIM_EXPORT void* objc_alloc(Class* cls) {
  return cls == nullptr ? nullptr : send<void*>(cls, known_selectors().alloc);
}

METALSIM_EXPORT void* objc_allocWithZone(Class* cls) {
  return objc_alloc(cls);
}

METALSIM_EXPORT void* objc_alloc_init(Class* cls) {
  void* object = objc_alloc(cls);
  return object == nullptr ? nullptr : send<void*>(object, known_selectors().init);
}

METALSIM_EXPORT void* objc_opt_new(Class* cls) {
  static const Selector name = selector("new");
  return cls == nullptr ? nullptr : send<void*>(cls, name);
}

METALSIM_EXPORT void* objc_opt_self(void* object) {
  return object == nullptr ? nullptr : send<void*>(object, known_selectors().self);
}

METALSIM_EXPORT Class* objc_opt_class(void* object) {
  return object == nullptr ? nullptr : send<Class*>(object, known_selectors().self_class);
}

METALSIM_EXPORT bool objc_opt_isKindOfClass(void* object, Class* cls) {
  return object != nullptr && send<bool>(object, known_selectors().is_kind_of_class, cls);
}

METALSIM_EXPORT bool objc_opt_respondsToSelector(void* object, Selector name) {
  return object != nullptr && send<bool>(object, known_selectors().responds_to_selector, name);
}
