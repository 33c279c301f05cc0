// Weak references: the runtime knows the place of each, and sets it to null when its object dies.
#include "weak.h"

#include "arc.h"
#include "handles.h"
#include "objects.h"

#include <mutex>
#include <unordered_map>
#include <unordered_set>

namespace metalsim::objc {

namespace {

/// One lock for all: host code of Metal has few weak references.
struct References {
  std::mutex mutex;
  std::unordered_map<void**, Object*> targets; ///< the object itself where the reference holds a handle
  std::unordered_map<Object*, std::unordered_set<void**>> places;
};

References& references() {
  static auto* all = new References;
  return *all;
}

/// Whether any weak reference was ever made: freeing an object asks no lock before.
std::atomic<bool> has_references{false};

void add(void** place, void* object) {
  if (object == nullptr) {
    *place = nullptr;
    return;
  }
  Object* target = object_behind(object);
  if (!has_header(target)) {
    *place = object; // classes, constant strings and blocks: not known to die
    return;
  }
  has_references.store(true, std::memory_order_relaxed);
  References& all = references();
  const std::lock_guard lock(all.mutex);
  if (metalsim_retain_count(target) <= 0) {
    *place = nullptr; // in its dealloc
    return;
  }
  *place = object;
  all.targets[place] = target;
  all.places[target].insert(place);
}

void remove(void** place) {
  References& all = references();
  const std::lock_guard lock(all.mutex);
  const auto found = all.targets.find(place);
  if (found != all.targets.end()) {
    const auto places = all.places.find(found->second);
    places->second.erase(place);
    if (places->second.empty()) {
      all.places.erase(places);
    }
    all.targets.erase(found);
  }
  *place = nullptr;
}

} // namespace

void clear_weak_references(Object* object) {
  if (!has_references.load(std::memory_order_relaxed)) {
    return;
  }
  References& all = references();
  const std::lock_guard lock(all.mutex);
  const auto found = all.places.find(object);
  if (found == all.places.end()) {
    return;
  }
  for (void** place : found->second) {
    *place = nullptr;
    all.targets.erase(place);
  }
  all.places.erase(found);
}

} // namespace metalsim::objc

using namespace metalsim::objc;

METALSIM_EXPORT void* objc_initWeak(void** place, void* object) {
  add(place, object);
  return *place;
}

METALSIM_EXPORT void objc_destroyWeak(void** place) {
  remove(place);
}

METALSIM_EXPORT void* objc_storeWeak(void** place, void* object) {
  remove(place);
  add(place, object);
  return *place;
}

METALSIM_EXPORT void* objc_loadWeakRetained(void** place) {
  References& all = references();
  {
    const std::lock_guard lock(all.mutex);
    const auto found = all.targets.find(place);
    if (found != all.targets.end()) {
      return retain_if_alive(found->second) ? *place : nullptr;
    }
  }
  return objc_retain(*place);
}

METALSIM_EXPORT void* objc_loadWeak(void** place) {
  return objc_autorelease(objc_loadWeakRetained(place));
}

METALSIM_EXPORT void objc_copyWeak(void** to, void** from) {
  void* object = objc_loadWeakRetained(from);
  objc_initWeak(to, object);
  objc_release(object);
}

METALSIM_EXPORT void objc_moveWeak(void** to, void** from) {
  objc_copyWeak(to, from);
  objc_destroyWeak(from);
}
