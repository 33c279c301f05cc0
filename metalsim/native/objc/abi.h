// The layouts that clang emits for Objective-C with -fobjc-runtime=macosx on 64 bits, and the sections they lie in.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace metalsim::objc {

struct Class;
struct ClassRecord;
struct Object;
struct Protocol;

/// A unique name: two selectors are equal if their pointers are.
using Selector = const char*;
using Implementation = void (*)();

struct Method {
  Selector name;
  const char* types;
  Implementation implementation;
};

struct MethodList {
  uint32_t entry_size;
  uint32_t count;
  Method first[1];
};

struct InstanceVariable {
  ptrdiff_t* offset;
  const char* name;
  const char* type;
  uint32_t alignment_exponent;
  uint32_t size;
};

struct InstanceVariableList {
  uint32_t entry_size;
  uint32_t count;
  InstanceVariable first[1];
};

struct ProtocolList {
  uintptr_t count;
  Protocol* first[1];
};

struct Protocol {
  Class* isa;
  const char* name;
  ProtocolList* protocols;
  MethodList* instance_methods;
  MethodList* class_methods;
  MethodList* optional_instance_methods;
  MethodList* optional_class_methods;
  void* properties;
  uint32_t size;
  uint32_t flags;
};

constexpr uint32_t kIsMetaclass = 1;

/// What the compiler knows of a class.
struct ClassData {
  uint32_t flags;
  uint32_t instance_start;
  uint32_t instance_size;
  uint32_t reserved;
  const uint8_t* strong_layout;
  const char* name;
  MethodList* methods;
  ProtocolList* protocols;
  InstanceVariableList* instance_variables;
  const uint8_t* weak_layout;
  void* properties;
};

/// Methods by selector. Readers take no lock: an entry is written once, its selector last, and a full table is
/// replaced.
struct MethodCache {
  struct Entry {
    std::atomic<Selector> selector;
    std::atomic<Implementation> implementation;
  };
  uint64_t mask; ///< entries - 1, a power of two less one; messages_x86_64.S reads it and the entries
  uint64_t used;
  Entry entries[1];
};

struct Class {
  Class* isa;
  Class* superclass;
  std::atomic<MethodCache*> cache; ///< begins as _objc_empty_cache
  ClassRecord* record;             ///< the runtime's own, set when the class is registered
  ClassData* data;
};
static_assert(offsetof(Class, superclass) == 8 && offsetof(Class, cache) == 16, "messages_x86_64.S reads them");
static_assert(offsetof(MethodCache, entries) == 16 && sizeof(MethodCache::Entry) == 16, "messages_x86_64.S reads them");

struct Object {
  Class* isa;
};

struct Category {
  const char* name;
  Class* cls;
  MethodList* instance_methods;
  MethodList* class_methods;
  ProtocolList* protocols;
  void* properties;
};

/// What image.c finds in a shared library's sections, each from its start to its end.
struct Image {
  Class **classes, **classes_end;
  Category **categories, **categories_end;
  Selector *selector_references, *selector_references_end;
  Protocol **protocols, **protocols_end;
  Protocol **protocol_references, **protocol_references_end;
};

} // namespace metalsim::objc
