// Python's lock: whoever waits for the device or for torch's stream must not hold it.
#pragma once

namespace metalsim::mps {

/// Gives Python's lock away while it lives, if this thread has it and there is a Python in the process. Worker threads
/// of the device may need the lock, and so may the thread for whose work this one waits.
class ReleasedInterpreter {
public:
  ReleasedInterpreter();
  ~ReleasedInterpreter() { restore(); }
  ReleasedInterpreter(const ReleasedInterpreter&) = delete;
  ReleasedInterpreter& operator=(const ReleasedInterpreter&) = delete;

  /// Takes the lock back before the end; may be followed by `release`.
  void restore();
  void release();

private:
  const bool held_; ///< this thread came with the lock
  void* thread_state_ = nullptr;
};

} // namespace metalsim::mps
