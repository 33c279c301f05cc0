// Grand Central Dispatch.
#include "check.h"

#include <atomic>
#include <thread>
#include <vector>

static void check_serial() {
  dispatch_queue_t queue = dispatch_queue_create("serial", DISPATCH_QUEUE_SERIAL);
  __block std::vector<int> order;
  for (int index = 0; index < 100; ++index) {
    dispatch_async(queue, ^{
      order.push_back(index);
    });
  }
  __block bool is_on_caller = false;
  const std::thread::id caller = std::this_thread::get_id();
  dispatch_sync(queue, ^{
    is_on_caller = std::this_thread::get_id() == caller;
    order.push_back(100);
  });
  check(is_on_caller && order.size() == 101); // after all that was queued before
  for (int index = 0; index <= 100; ++index) {
    check(order[(size_t)index] == index);
  }
  check_throws("already owned by the current thread", [queue] {
    dispatch_sync(queue, ^{
      dispatch_sync(queue, ^{
                    });
    });
  });
  check(std::string(dispatch_queue_get_label(queue)) == "serial");
  dispatch_release(queue);
}

static void check_nested() {
  dispatch_queue_t outer = dispatch_queue_create("outer", DISPATCH_QUEUE_SERIAL);
  dispatch_queue_t inner = dispatch_queue_create("inner", nullptr);
  __block int depth = 0;
  dispatch_sync(outer, ^{
    dispatch_sync(inner, ^{
      depth = 2;
      check(std::string(dispatch_queue_get_label(nullptr)) == "inner");
    });
    check_throws("'outer'", [outer, inner] {
      dispatch_sync(inner, ^{
        dispatch_sync(outer, ^{
                      });
      });
    });
  });
  check(depth == 2);
  check_throws("main queue", [] {
    dispatch_async(dispatch_get_main_queue(), ^{
                   });
  });
  dispatch_release(outer);
  dispatch_release(inner);
}

static void check_concurrent() {
  dispatch_queue_t queue = dispatch_queue_create("concurrent", DISPATCH_QUEUE_CONCURRENT);
  dispatch_semaphore_t first = dispatch_semaphore_create(0);
  dispatch_semaphore_t second = dispatch_semaphore_create(0);
  // Each waits for the other.
  dispatch_async(queue, ^{
    dispatch_semaphore_signal(first);
    dispatch_semaphore_wait(second, DISPATCH_TIME_FOREVER);
  });
  dispatch_async(queue, ^{
    dispatch_semaphore_wait(first, DISPATCH_TIME_FOREVER);
    dispatch_semaphore_signal(second);
  });
  static std::atomic<int> running{0};
  static std::atomic<int> done{0};
  for (int index = 0; index < 20; ++index) {
    dispatch_async(queue, ^{
      ++running;
      std::this_thread::yield();
      --running;
      ++done;
    });
  }
  dispatch_barrier_sync(queue, ^{
    check(running == 0 && done == 20);
  });
  dispatch_sync(queue, ^{
    dispatch_sync(queue, ^{ // no deadlock: neither excludes the other
      ++done;
    });
  });
  check(done == 21);
  dispatch_release(first);
  dispatch_release(second);
  dispatch_release(queue);
}

static void check_once() {
  static dispatch_once_t predicate;
  static std::atomic<int> calls{0};
  dispatch_apply(8, DISPATCH_APPLY_AUTO, ^(size_t) {
    dispatch_once(&predicate, ^{
      ++calls;
    });
    check(calls == 1);
  });
  static dispatch_once_t recursive;
  check_throws("from its own block", [] {
    dispatch_once(&recursive, ^{
      dispatch_once(&recursive, ^{
                    });
    });
  });
}

static void check_semaphores_and_time() {
  dispatch_semaphore_t semaphore = dispatch_semaphore_create(1);
  check(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW) == 0);
  check(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW) != 0);
  const uint64_t before = clock_gettime_nsec_np(CLOCK_MONOTONIC);
  check(dispatch_semaphore_wait(semaphore, dispatch_time(DISPATCH_TIME_NOW, 20 * (int64_t)NSEC_PER_MSEC)) != 0);
  check(clock_gettime_nsec_np(CLOCK_MONOTONIC) - before >= 19 * NSEC_PER_MSEC);
  check(dispatch_semaphore_wait(semaphore, dispatch_walltime(nullptr, 1000)) != 0);
  dispatch_semaphore_signal(semaphore);
  check(dispatch_time(DISPATCH_TIME_FOREVER, 1) == DISPATCH_TIME_FOREVER);
  dispatch_release(semaphore);
}

static void check_groups() {
  dispatch_queue_t queue = dispatch_get_global_queue(QOS_CLASS_DEFAULT, 0);
  dispatch_group_t group = dispatch_group_create();
  static std::atomic<int> done{0};
  for (int index = 0; index < 10; ++index) {
    dispatch_group_async(group, queue, ^{
      ++done;
    });
  }
  check(dispatch_group_wait(group, DISPATCH_TIME_FOREVER) == 0 && done == 10);
  dispatch_semaphore_t notified = dispatch_semaphore_create(0);
  dispatch_group_enter(group);
  dispatch_group_notify(group, queue, ^{
    dispatch_semaphore_signal(notified);
  });
  check(dispatch_group_wait(group, DISPATCH_TIME_NOW) != 0);
  check(dispatch_semaphore_wait(notified, DISPATCH_TIME_NOW) != 0);
  dispatch_group_leave(group);
  dispatch_semaphore_wait(notified, DISPATCH_TIME_FOREVER);
  check_throws("dispatch_group_leave", [group] { dispatch_group_leave(group); });
  dispatch_after(dispatch_time(DISPATCH_TIME_NOW, 1000), queue, ^{
    dispatch_semaphore_signal(notified);
  });
  dispatch_semaphore_wait(notified, DISPATCH_TIME_FOREVER);
  dispatch_release(notified);
  dispatch_release(group);
}

static void check_specifics_and_data() {
  static const char key = 0;
  static int value = 5;
  dispatch_queue_t queue = dispatch_queue_create("specific", DISPATCH_QUEUE_SERIAL);
  dispatch_queue_set_specific(queue, &key, &value, nullptr);
  check(dispatch_get_specific(&key) == nullptr && dispatch_queue_get_specific(queue, &key) == &value);
  dispatch_sync(queue, ^{
    check(dispatch_get_specific(&key) == &value);
    dispatch_assert_queue(queue);
  });
  check_throws("dispatch_assert_queue", [queue] { dispatch_assert_queue(queue); });
  __block bool is_destroyed = false;
  @autoreleasepool {
    dispatch_data_t data = dispatch_data_create("abc", 3, queue, ^{
      is_destroyed = true;
    });
    const void* bytes = nullptr;
    size_t size = 0;
    dispatch_data_t map = dispatch_data_create_map(data, &bytes, &size);
    check(size == 3 && !memcmp(bytes, "abc", 3) && dispatch_data_get_size(data) == 3);
    dispatch_release(map);
    dispatch_release(data);
    map = data = nil;
  }
  check(is_destroyed);
  dispatch_release(queue);
}

int main() {
  @autoreleasepool {
    check_serial();
    check_nested();
    check_concurrent();
    check_once();
    check_semaphores_and_time();
    check_groups();
    check_specifics_and_data();
  }
}
