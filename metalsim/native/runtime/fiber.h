// Fibers: the threads of a threadgroup as stacks that one host thread switches between.
//
// A kernel's thread leaves the processor only inside of a *blocking entry point*: a collective, a barrier or its own
// end. Each is an assembly stub (fiber.cpp) around a C++ function, its `post`, which notes what the thread asked for
// and chooses who runs next. A post never switches stacks itself; it returns the stack to go on with, and the stub
// adopts it.
//
//      thread A                    the stub                                    thread B
//   ------------------   ---------------------------------------------   ----------------------
//   call collective ---> push rbp                  (A's stack)
//                        rdi = rsp                 A, suspended
//                        call post  -------------> notes A's request, keeps rdi for later,
//                                                  returns {B's kept rsp, B's result}
//                        rsp = rax                 (B's stack from here on)
//                        xmm0, rax = result at rdx
//                        pop rbp
//                        pop rcx, jmp rcx --------------------------------> after B's own call
//
// The last jump is indirect and never a `ret`. The processor predicts a `ret` from the calls that it has seen, which is
// A's call site and not B's: in unrolled code, where the two differ, every switch would be mispredicted (3.9 ns
// against 12.5).
//
// Kernels call the entry points by the convention preserve_none: they keep nothing in registers but rbp, so that a
// switch saves what is needed and no more.
//
// A suspended stack, from its kept rsp upwards: rbp, return address. The return address is the *site* of the request:
// it tells whether two threads are at the same collective.
#pragma once

#include "../abi.h"
#include "memory.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace metalsim {

/// What a blocking entry point gives back to its caller; the stubs know this layout.
struct Result {
  abi::MatrixElements elements; ///< to xmm0
  uint64_t value;               ///< to rax
};
static_assert(offsetof(Result, elements) == 0 && offsetof(Result, value) == 8, "the stubs load from these offsets");

/// Who goes on: a suspended stack, and the result of the entry point in which it was suspended.
struct Resume {
  void* stack;          ///< in rax
  const Result* result; ///< in rdx
};

/// The return address of a suspended stack.
inline const void* site_of(const void* suspended_stack) {
  constexpr size_t kSavedRegisters = 1;
  return static_cast<const void* const*>(suspended_stack)[kSavedRegisters];
}

/// One stack for each thread of a threadgroup, kept from one threadgroup and one dispatch to the next.
class FiberStacks {
public:
  static constexpr size_t kUsableBytes = 64 * 1024;

  /// Makes sure that there are at least `count` stacks.
  void reserve(uint32_t count);
  char* begin(uint32_t index) const;
  char* end(uint32_t index) const;
  /// Prepares stack `index` so that adopting it calls `entry`, which must not return.
  void* prepare(uint32_t index, void (*entry)()) const;
  /// The stack in whose guard page `address` lies.
  std::optional<uint32_t> overflowed(uintptr_t address) const;

private:
  static constexpr size_t kGuardBytes = 4096;
  // The same variable of all 32 lanes would otherwise lie at the same offset of a page, and so in the same set of the
  // first-level cache, which has eight ways.
  static constexpr size_t kStaggerBytes = 4096;
  static constexpr size_t kStride = kGuardBytes + kUsableBytes + kStaggerBytes;

  Mapping mapping_;
  uint32_t count_ = 0;
};

} // namespace metalsim

#define METALSIM_HIDDEN __attribute__((visibility("hidden")))
#define METALSIM_POST METALSIM_HIDDEN __attribute__((preserve_none))
extern "C" {
// The posts. A stub leaves the first arguments as the kernel passed them and adds the suspended stack as the fifth.
METALSIM_POST metalsim::Resume metalsim_post_matrix_product(uint32_t types, uint64_t, uint64_t, uint64_t, void* stack,
                                                            metalsim::abi::MatrixElements a,
                                                            metalsim::abi::MatrixElements b,
                                                            metalsim::abi::MatrixElements c);
METALSIM_POST metalsim::Resume metalsim_post_collective(uint32_t op, uint64_t value, uint64_t fill, uint32_t parameter,
                                                        void* stack);
METALSIM_POST metalsim::Resume metalsim_post_threadgroup_barrier(uint32_t flags, uint64_t, uint64_t, uint64_t,
                                                                 void* stack);
METALSIM_POST metalsim::Resume metalsim_post_simdgroup_barrier(uint32_t flags, uint64_t, uint64_t, uint64_t,
                                                               void* stack);
METALSIM_POST metalsim::Resume metalsim_post_thread_exit(uint64_t, uint64_t, uint64_t, uint64_t, void* stack);
METALSIM_POST metalsim::Resume metalsim_post_abandon(uint64_t, uint64_t, uint64_t, uint64_t, void* stack);
METALSIM_POST metalsim::Resume metalsim_post_enter(uint64_t, uint64_t, uint64_t, uint64_t, void* stack);

// Stubs that only the runtime calls.
METALSIM_HIDDEN void metalsim_enter();                    ///< runs the threads; returns when none is left
[[noreturn]] METALSIM_HIDDEN void metalsim_thread_exit(); ///< the running thread has ended
[[noreturn]] METALSIM_HIDDEN void metalsim_abandon();     ///< back to the caller of metalsim_enter, at once
/// Not a function: where a signal handler goes on with rsp = a suspended stack.
METALSIM_HIDDEN void metalsim_adopt_stack();
}
