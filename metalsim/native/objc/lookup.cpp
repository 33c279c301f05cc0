#include "lookup.h"

#include "classes.h"
#include "diagnostics.h"
#include "exported.h"
#include "objects.h"
#include "selectors.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

/// The cache of a class that has received no message yet; clang's class objects refer to it.
METALSIM_EXPORT metalsim::objc::MethodCache _objc_empty_cache;
metalsim::objc::MethodCache _objc_empty_cache{};
/// clang's older class objects refer to this one; it is not used.
METALSIM_EXPORT void* _objc_empty_vtable;
void* _objc_empty_vtable = nullptr;

namespace metalsim::objc {

namespace {

size_t place(Selector name, uint64_t mask) {
  return (reinterpret_cast<uintptr_t>(name) >> 4) & mask;
}

Implementation cached(const MethodCache& cache, Selector name) {
  for (size_t index = place(name, cache.mask);; index = (index + 1) & cache.mask) {
    const MethodCache::Entry& entry = cache.entries[index];
    const Selector found = entry.selector.load(std::memory_order_acquire);
    if (found == name) {
      return entry.implementation.load(std::memory_order_relaxed);
    }
    if (found == nullptr) {
      return nullptr;
    }
  }
}

void insert(MethodCache& cache, Selector name, Implementation implementation) {
  size_t index = place(name, cache.mask);
  while (cache.entries[index].selector.load(std::memory_order_relaxed) != nullptr) {
    index = (index + 1) & cache.mask;
  }
  cache.entries[index].implementation.store(implementation, std::memory_order_relaxed);
  cache.entries[index].selector.store(name, std::memory_order_release);
  ++cache.used;
}

MethodCache* new_cache(uint64_t entries) {
  const size_t bytes = offsetof(MethodCache, entries) + entries * sizeof(MethodCache::Entry);
  auto* cache = static_cast<MethodCache*>(calloc(1, bytes));
  cache->mask = entries - 1;
  return cache;
}

/// Caches that were replaced. They are kept: another thread may be reading one.
std::vector<MethodCache*>& retired_caches() {
  static auto* caches = new std::vector<MethodCache*>;
  return *caches;
}

void replace_cache(Class* cls, MethodCache* cache) {
  MethodCache* old = cls->cache.exchange(cache, std::memory_order_acq_rel);
  if (old != nullptr && old != &_objc_empty_cache) {
    retired_caches().push_back(old);
  }
}

/// To be called with the registry's lock.
void remember(Class* cls, Selector name, Implementation implementation) {
  MethodCache* cache = cls->cache.load(std::memory_order_relaxed);
  if (cache == nullptr || cache == &_objc_empty_cache) {
    cache = new_cache(16);
    insert(*cache, name, implementation);
    replace_cache(cls, cache);
    return;
  }
  if (cached(*cache, name) != nullptr) {
    return;
  }
  if ((cache->used + 1) * 4 <= (cache->mask + 1) * 3) {
    insert(*cache, name, implementation);
    return;
  }
  MethodCache* larger = new_cache((cache->mask + 1) * 2);
  for (uint64_t index = 0; index <= cache->mask; ++index) {
    const MethodCache::Entry& entry = cache->entries[index];
    if (const Selector known = entry.selector.load(std::memory_order_relaxed)) {
      insert(*larger, known, entry.implementation.load(std::memory_order_relaxed));
    }
  }
  insert(*larger, name, implementation);
  replace_cache(cls, larger);
}

/// Held while +initialize runs, so that other threads wait until it is done.
std::recursive_mutex& initialization_mutex() {
  static auto* mutex = new std::recursive_mutex;
  return *mutex;
}

/// The classes whose +initialize runs on this thread, from the innermost outwards.
class Initializing {
public:
  explicit Initializing(Class* cls) : m_class(cls), m_outer(innermost) { innermost = this; }
  Initializing(const Initializing&) = delete;
  Initializing& operator=(const Initializing&) = delete;
  ~Initializing() { innermost = m_outer; }

  static thread_local const Initializing* innermost;
  Class* m_class;
  const Initializing* m_outer;
};

thread_local const Initializing* Initializing::innermost = nullptr;

bool is_initializing(const Class* cls) {
  for (const Initializing* running = Initializing::innermost; running != nullptr; running = running->m_outer) {
    if (running->m_class == cls) {
      return true;
    }
  }
  return false;
}

using ClassMessage = void (*)(Class*, Selector);

/// Sends +initialize to a class that has not got it, after its superclass. Returns whether the class may be cached: not
/// before +initialize has returned, since other threads must not pass by it.
bool initialize(Class* cls) {
  if (cls->record->is_initialized.load(std::memory_order_acquire)) {
    return true;
  }
  const std::lock_guard lock(initialization_mutex());
  if (cls->record->is_initialized.load(std::memory_order_acquire)) {
    return true;
  }
  if (is_initializing(cls)) {
    return false;
  }
  if (cls->superclass != nullptr) {
    initialize(cls->superclass);
  }
  const Selector name = known_selectors().initialize;
  for (Class* metaclass = cls->isa; metaclass != nullptr; metaclass = metaclass->superclass) {
    if (const Implementation implementation = own_method(metaclass, name)) {
      const Initializing running(cls);
      reinterpret_cast<ClassMessage>(implementation)(cls, name);
      break;
    }
  }
  cls->record->is_initialized.store(true, std::memory_order_release);
  return true;
}

std::string described(const Class* cls, Selector name) {
  return std::string(is_metaclass(cls) ? "+[" : "-[") + cls->data->name + " " + name + "]";
}

[[noreturn]] void message_to_freed_object(void* receiver, Selector name) {
  const Class* cls = class_before_free(static_cast<Object*>(receiver));
  fprintf(stderr, "metalsim: message \"%s\" sent to a freed object of class %s (%p)\n", name,
          cls == nullptr ? "?" : cls->data->name, receiver);
  abort();
}

} // namespace

Class* freed_class() {
  static ClassData data{};
  static Class cls{};
  static const bool made = [] {
    data.name = "a freed object";
    cls.isa = &cls;
    cls.cache = &_objc_empty_cache;
    cls.record = new ClassRecord;
    cls.data = &data;
    return true;
  }();
  (void)made;
  return &cls;
}

void forget_methods(Class* cls) {
  const std::lock_guard lock(registry_mutex());
  replace_cache(cls, &_objc_empty_cache);
}

Implementation find_method(Class* cls, Selector name) {
  if (const MethodCache* cache = cls->cache.load(std::memory_order_acquire)) {
    if (const Implementation implementation = cached(*cache, name)) {
      return implementation;
    }
  }
  Class* initialized = is_metaclass(cls) ? class_of_metaclass(cls) : cls;
  const bool may_cache = initialized == nullptr || initialize(initialized);
  const std::lock_guard lock(registry_mutex());
  for (Class* ancestor = cls; ancestor != nullptr; ancestor = ancestor->superclass) {
    if (const Implementation implementation = own_method(ancestor, name)) {
      if (may_cache) {
        remember(cls, name, implementation);
      }
      return implementation;
    }
  }
  return nullptr;
}

Implementation require_method(void* receiver, Class* cls, Selector name) {
  if (cls == freed_class()) {
    message_to_freed_object(receiver, name);
  }
  if (const Implementation implementation = find_method(cls, name)) {
    return implementation;
  }
  char address[32];
  snprintf(address, sizeof address, "%p", receiver);
  throw std::runtime_error(described(cls, name) + ": unrecognized selector sent to " +
                           (is_metaclass(cls) ? "class " : "instance ") + address);
}

} // namespace metalsim::objc

using namespace metalsim::objc;

extern "C" {
// Called from messages_x86_64.S alone.

struct MetalsimTarget {
  Implementation implementation;
  Object* receiver;
};
/// clang's objc_super: the receiver and the class whose superclass's method is wanted.
struct MetalsimSuper {
  void* receiver;
  Class* current;
};
MetalsimTarget metalsim_find_method(void* receiver, Selector name);
Implementation metalsim_find_super_method(const MetalsimSuper* super, Selector name);
}

MetalsimTarget metalsim_find_method(void* receiver, Selector name) {
  Object* object = object_behind(receiver);
  return {require_method(object, object->isa, name), object};
}

Implementation metalsim_find_super_method(const MetalsimSuper* super, Selector name) {
  return require_method(super->receiver, super->current->superclass, name);
}
