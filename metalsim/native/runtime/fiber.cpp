// The assembly stubs that switch between fibers (fiber.h draws one), and their stacks. x86-64, System V calling
// convention.
#include "fiber.h"

#include <algorithm>

// On entry rsp is 8 below a multiple of 16; one push aligns it for the call of the post. By the convention
// preserve_none the arguments of the entry point and of its post are in r12 to r15 and then rdi, the post's fifth.
asm(R"(
.text
.macro METALSIM_ADOPT_STACK
  popq %rbp
  popq %rcx
  jmp *%rcx
.endm

.macro METALSIM_SUSPEND post
  pushq %rbp
  movq %rsp, %rdi
  call \post
  movq %rax, %rsp
  movsd (%rdx), %xmm0
  movq 8(%rdx), %rax
  METALSIM_ADOPT_STACK
.endm

.macro METALSIM_STUB name post
.p2align 5
.globl \name
.type \name, @function
\name:
  METALSIM_SUSPEND \post
.size \name, . - \name
.endm

METALSIM_STUB metalsim_matrix_product metalsim_post_matrix_product
METALSIM_STUB metalsim_collective metalsim_post_collective
METALSIM_STUB metalsim_threadgroup_barrier metalsim_post_threadgroup_barrier
METALSIM_STUB metalsim_simdgroup_barrier metalsim_post_simdgroup_barrier
METALSIM_STUB metalsim_thread_exit metalsim_post_thread_exit
METALSIM_STUB metalsim_abandon metalsim_post_abandon

.p2align 5
.globl metalsim_enter
.type metalsim_enter, @function
metalsim_enter:
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  leaq 1f(%rip), %rcx
  pushq %rcx
  METALSIM_SUSPEND metalsim_post_enter
1:
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  ret
.size metalsim_enter, . - metalsim_enter

.p2align 5
.globl metalsim_adopt_stack
.type metalsim_adopt_stack, @function
metalsim_adopt_stack:
  METALSIM_ADOPT_STACK
.size metalsim_adopt_stack, . - metalsim_adopt_stack
)");

namespace metalsim {

void FiberStacks::reserve(uint32_t count) {
  if (count <= count_) {
    return;
  }
  mapping_ = Mapping(count * kStride);
  count_ = count;
  for (uint32_t index = 0; index < count; ++index) {
    mapping_.make_accessible(index * kStride + kGuardBytes, kUsableBytes + kStaggerBytes);
  }
}

char* FiberStacks::begin(uint32_t index) const {
  return mapping_.address() + index * kStride + kGuardBytes;
}

char* FiberStacks::end(uint32_t index) const {
  constexpr size_t kSteps = 32;
  const size_t stagger = index % kSteps * (kStaggerBytes / kSteps);
  return mapping_.address() + (index + 1) * kStride - stagger;
}

void* FiberStacks::prepare(uint32_t index, void (*entry)()) const {
  // `entry` is jumped to and expects what a call would have left: a return address (null ends a debugger's walk) 8
  // below a multiple of 16. Below it lie the address that the stub jumps to and rbp.
  constexpr size_t kWords = 3;
  void** stack = reinterpret_cast<void**>(end(index)) - kWords;
  std::fill(stack, stack + kWords, nullptr);
  stack[1] = reinterpret_cast<void*>(entry);
  return stack;
}

std::optional<uint32_t> FiberStacks::overflowed(uintptr_t address) const {
  const uintptr_t first = reinterpret_cast<uintptr_t>(mapping_.address());
  if (address < first || address >= first + count_ * kStride || (address - first) % kStride >= kGuardBytes) {
    return std::nullopt;
  }
  return static_cast<uint32_t>((address - first) / kStride);
}

} // namespace metalsim
