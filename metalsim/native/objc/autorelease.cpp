// Autorelease pools: each thread's objects in one stack, with a mark where a pool begins.
#include "autorelease.h"

#include "debug.h"
#include "diagnostics.h"
#include "lookup.h"
#include "selectors.h"

#include <cstdio>
#include <unistd.h>
#include <vector>

namespace metalsim::objc {

namespace {

std::atomic<int64_t> without_pool{0};

struct PoolStack {
  std::vector<void*> objects; ///< null = a pool begins here
  size_t pools = 0;

  void release_above(size_t size) {
    // Releasing an object may autorelease others: they come on top and go before the pool ends.
    while (objects.size() > size) {
      void* object = objects.back();
      objects.pop_back();
      if (object != nullptr) {
        send<void>(object, known_selectors().release);
      } else {
        --pools;
      }
    }
  }
};

// A pointer, so that the pool can be used until the very end of the process: after the destructors of thread_locals.
thread_local PoolStack* the_stack = nullptr;

/// As on a Mac, a thread's end releases what is left. At the main thread's end the process ends, too late for messages
/// to objects whose libraries are finished.
struct ReleaseAtThreadEnd {
  ~ReleaseAtThreadEnd() {
    if (gettid() != getpid()) {
      the_stack->release_above(0);
      delete the_stack;
      the_stack = nullptr;
    }
  }
};

PoolStack& stack() {
  if (the_stack == nullptr) {
    the_stack = new PoolStack;
    static thread_local ReleaseAtThreadEnd at_end;
    (void)at_end;
  }
  return *the_stack;
}

} // namespace

void* add_to_pool(void* object) {
  if (stack().pools == 0) {
    without_pool.fetch_add(1, std::memory_order_relaxed);
    if (debugging()) {
      fprintf(stderr,
              "metalsim: object %p of class %s autoreleased with no pool in place, it lives until the thread ends\n",
              object, object_behind(object)->isa->data->name);
    }
  }
  stack().objects.push_back(object);
  return object;
}

} // namespace metalsim::objc

using namespace metalsim::objc;

METALSIM_EXPORT void* objc_autoreleasePoolPush() {
  stack().objects.push_back(nullptr);
  ++stack().pools;
  return reinterpret_cast<void*>(stack().objects.size());
}

METALSIM_EXPORT void objc_autoreleasePoolPop(void* pool) {
  stack().release_above(reinterpret_cast<size_t>(pool) - 1);
}

METALSIM_EXPORT void* metalsim_autorelease(void* object) {
  return add_to_pool(object);
}

int64_t metalsim_autoreleased_without_pool() {
  return without_pool.load();
}
