#include "interpreter.h"

#include <dlfcn.h>

namespace metalsim::mps {

namespace {

/// Python's functions by name: the library also serves programs that have no Python in them.
struct Python {
  int (*is_initialized)();
  int (*has_lock)();
  void* (*save_thread)();
  void (*restore_thread)(void*);
};

template <typename Function> void look_up(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

const Python& python() {
  static const Python found = [] {
    Python functions{};
    look_up(functions.is_initialized, "Py_IsInitialized");
    look_up(functions.has_lock, "PyGILState_Check");
    look_up(functions.save_thread, "PyEval_SaveThread");
    look_up(functions.restore_thread, "PyEval_RestoreThread");
    return functions;
  }();
  return found;
}

bool has_lock() {
  const Python& functions = python();
  const bool is_complete =
      functions.is_initialized && functions.has_lock && functions.save_thread && functions.restore_thread;
  return is_complete && functions.is_initialized() && functions.has_lock();
}

} // namespace

ReleasedInterpreter::ReleasedInterpreter() : held_(has_lock()) {
  release();
}

void ReleasedInterpreter::restore() {
  if (thread_state_ != nullptr) {
    python().restore_thread(thread_state_);
    thread_state_ = nullptr;
  }
}

void ReleasedInterpreter::release() {
  if (held_ && thread_state_ == nullptr) {
    thread_state_ = python().save_thread();
  }
}

} // namespace metalsim::mps
