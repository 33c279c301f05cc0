// From a class and a selector to a method.
#pragma once

#include "abi.h"

namespace metalsim::objc {

/// Null if neither the class nor one above it has the method. Sends +initialize first.
Implementation find_method(Class* cls, Selector name);
/// The same; throws "-[Class selector]: unrecognized selector sent to instance 0x...".
Implementation require_method(void* receiver, Class* cls, Selector name);
/// Empties a class's cache, after methods were added.
void forget_methods(Class* cls);

/// The class that objects get when they are freed: every message to it ends the process.
Class* freed_class();

/// Sends a message. The receiver is not null; it may be a handle.
template <typename Result, typename... Arguments> Result send(void* receiver, Selector name, Arguments... arguments);

} // namespace metalsim::objc

#include "handles.h"

template <typename Result, typename... Arguments>
Result metalsim::objc::send(void* receiver, Selector name, Arguments... arguments) {
  Object* object = object_behind(receiver);
  const Implementation implementation = require_method(object, object->isa, name);
  return reinterpret_cast<Result (*)(void*, Selector, Arguments...)>(implementation)(object, name, arguments...);
}
