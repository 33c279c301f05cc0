#include "objects.h"

#include "classes.h"
#include "lookup.h"
#include "selectors.h"
#include "weak.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace metalsim::objc {

namespace {

/// The count from dealloc's start on; retains and releases there change it a little.
constexpr int64_t kDeallocating = INT64_MIN / 2;
constexpr unsigned char kFreed = 0x5a;

Header& header_of(Object* object) {
  return reinterpret_cast<Header*>(object)[-1];
}

using ObjectMessage = void (*)(Object*, Selector);

void construct(Class* cls, Object* object) {
  if (cls == nullptr) {
    return;
  }
  construct(cls->superclass, object);
  if (const Implementation implementation = cls->record->construct) {
    reinterpret_cast<ObjectMessage>(implementation)(object, known_selectors().construct);
  }
}

void destruct(Class* cls, Object* object) {
  for (; cls != nullptr; cls = cls->superclass) {
    if (const Implementation implementation = cls->record->destruct) {
      reinterpret_cast<ObjectMessage>(implementation)(object, known_selectors().destruct);
    }
  }
}

/// Keeps the last freed objects for a while, so that a message to one of them meets freed_class() and not whatever
/// took its place. AddressSanitizer has its own quarantine, which also knows who freed the object.
void release_memory(void* memory) {
#if __has_feature(address_sanitizer)
  free(memory);
#else
  static std::mutex mutex;
  static std::array<void*, 1024> last_freed;
  static size_t next = 0;
  void* oldest;
  {
    const std::lock_guard lock(mutex);
    oldest = last_freed[next];
    last_freed[next] = memory;
    next = (next + 1) % last_freed.size();
  }
  free(oldest);
#endif
}

[[noreturn]] void over_released(Object* object) {
  fprintf(stderr, "metalsim: over-release of an object of class %s (%p): it was released more often than retained\n",
          object->isa->data->name, static_cast<void*>(object));
  abort();
}

} // namespace

Object* make_object(Class* cls, size_t extra_bytes) {
  const size_t bytes = sizeof(Header) + cls->data->instance_size + extra_bytes;
  void* memory = calloc(1, bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  auto* header = new (memory) Header{.count = 1, .class_before_free = nullptr};
  auto* object = reinterpret_cast<Object*>(header + 1);
  object->isa = cls;
  cls->record->live_objects.fetch_add(1, std::memory_order_relaxed);
  construct(cls, object);
  return object;
}

void free_object(Object* object) {
  Class* cls = object->isa;
  clear_weak_references(object);
  destruct(cls, object);
  cls->record->live_objects.fetch_sub(1, std::memory_order_relaxed);
  Header& header = header_of(object);
  header.class_before_free = cls;
  memset(reinterpret_cast<char*>(object) + sizeof(Object), kFreed, cls->data->instance_size - sizeof(Object));
  object->isa = freed_class();
  release_memory(&header);
}

bool retain_if_alive(Object* object) {
  std::atomic<int64_t>& count = header_of(object).count;
  int64_t owners = count.load(std::memory_order_relaxed);
  while (owners > 0) {
    if (count.compare_exchange_weak(owners, owners + 1, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

bool has_header(const Object* object) {
  if (object->isa == freed_class() || is_metaclass(object->isa)) {
    return false;
  }
  for (const Class* cls = object->isa; cls != nullptr; cls = cls->superclass) {
    if (!cls->record->has_counted_objects) {
      return false;
    }
  }
  return true;
}

const Class* class_before_free(const Object* object) {
  return header_of(const_cast<Object*>(object)).class_before_free;
}

} // namespace metalsim::objc

using namespace metalsim::objc;

void* metalsim_retain(void* object) {
  header_of(static_cast<Object*>(object)).count.fetch_add(1, std::memory_order_relaxed);
  return object;
}

void metalsim_release(void* object) {
  auto* counted = static_cast<Object*>(object);
  std::atomic<int64_t>& count = header_of(counted).count;
  const int64_t owners = count.fetch_sub(1, std::memory_order_acq_rel);
  if (owners == 1) {
    count.store(kDeallocating, std::memory_order_relaxed);
    send<void>(counted, known_selectors().dealloc);
  } else if (owners <= 0 && owners > kDeallocating / 2) {
    over_released(counted);
  }
}

int64_t metalsim_retain_count(void* object) {
  return header_of(static_cast<Object*>(object)).count.load(std::memory_order_relaxed);
}

void metalsim_has_uncounted_objects(void* cls) {
  static_cast<Class*>(cls)->record->has_counted_objects = false;
}

METALSIM_EXPORT Object* class_createInstance(Class* cls, size_t extra_bytes) {
  return cls == nullptr ? nullptr : make_object(cls, extra_bytes);
}

METALSIM_EXPORT Object* object_dispose(Object* object) {
  if (object != nullptr) {
    free_object(object);
  }
  return nullptr;
}
