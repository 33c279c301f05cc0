// @synchronized: a recursive mutex for each object that is locked now.
#include "exported.h"

#include <mutex>
#include <unordered_map>

namespace {

struct ObjectLock {
  std::recursive_mutex mutex;
  int users = 0; ///< who holds it or waits for it
};

struct ObjectLocks {
  std::mutex mutex;
  std::unordered_map<void*, ObjectLock> locks;
};

ObjectLocks& object_locks() {
  static auto* all = new ObjectLocks;
  return *all;
}

} // namespace

METALSIM_EXPORT int objc_sync_enter(void* object) {
  if (object == nullptr) {
    return 0; // locks nothing, as on a Mac
  }
  ObjectLocks& all = object_locks();
  ObjectLock* lock;
  {
    const std::lock_guard guard(all.mutex);
    lock = &all.locks[object];
    ++lock->users;
  }
  lock->mutex.lock();
  return 0;
}

METALSIM_EXPORT int objc_sync_exit(void* object) {
  if (object == nullptr) {
    return 0;
  }
  ObjectLocks& all = object_locks();
  const std::lock_guard guard(all.mutex);
  const auto found = all.locks.find(object);
  if (found == all.locks.end()) {
    return -1; // not locked
  }
  found->second.mutex.unlock();
  if (--found->second.users == 0) {
    all.locks.erase(found);
  }
  return 0;
}
