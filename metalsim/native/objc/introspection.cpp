// The functions of objc/runtime.h that ask about classes, objects and protocols.
#include "classes.h"
#include "exported.h"
#include "lookup.h"
#include "selectors.h"

#include <cstring>

using namespace metalsim::objc;

METALSIM_EXPORT Class* object_getClass(void* object) {
  return object == nullptr ? nullptr : object_behind(object)->isa;
}

METALSIM_EXPORT bool object_isClass(void* object) {
  return object != nullptr && is_metaclass(object_behind(object)->isa);
}

METALSIM_EXPORT const char* object_getClassName(void* object) {
  return object == nullptr ? "nil" : object_behind(object)->isa->data->name;
}

METALSIM_EXPORT Class* objc_getClass(const char* name) {
  return name == nullptr ? nullptr : find_class(name);
}
METALSIM_EXPORT Class* objc_lookUpClass(const char* name) {
  return name == nullptr ? nullptr : find_class(name);
}
METALSIM_EXPORT Protocol* objc_getProtocol(const char* name) {
  return name == nullptr ? nullptr : find_protocol(name);
}

METALSIM_EXPORT const char* class_getName(Class* cls) {
  return cls == nullptr ? "nil" : cls->data->name;
}
METALSIM_EXPORT Class* class_getSuperclass(Class* cls) {
  return cls == nullptr ? nullptr : cls->superclass;
}
METALSIM_EXPORT bool class_isMetaClass(Class* cls) {
  return cls != nullptr && is_metaclass(cls);
}
METALSIM_EXPORT size_t class_getInstanceSize(Class* cls) {
  return cls == nullptr ? 0 : cls->data->instance_size;
}

METALSIM_EXPORT Implementation class_getMethodImplementation(Class* cls, Selector name) {
  return cls == nullptr ? nullptr : find_method(cls, name);
}

METALSIM_EXPORT bool class_respondsToSelector(Class* cls, Selector name) {
  return cls != nullptr && name != nullptr && find_method(cls, name) != nullptr;
}

METALSIM_EXPORT bool class_conformsToProtocol(Class* cls, Protocol* protocol) {
  return cls != nullptr && protocol != nullptr && conforms(cls, protocol->name);
}

METALSIM_EXPORT const char* protocol_getName(Protocol* protocol) {
  return protocol->name;
}

METALSIM_EXPORT bool protocol_isEqual(Protocol* protocol, Protocol* other) {
  return protocol == other || (protocol != nullptr && other != nullptr && strcmp(protocol->name, other->name) == 0);
}
