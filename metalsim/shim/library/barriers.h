// Barriers and fences.
#pragma once

#include "config.h"

namespace metal {

enum class mem_flags : uint32_t {
  mem_none = metalsim::abi::kMemNone,
  mem_device = metalsim::abi::kMemDevice,
  mem_threadgroup = metalsim::abi::kMemThreadgroup,
  mem_texture = metalsim::abi::kMemTexture,
  mem_threadgroup_imageblock = 8,
  mem_object_data = 16,
};
METALSIM_INLINE constexpr mem_flags operator|(mem_flags a, mem_flags b) {
  return static_cast<mem_flags>(static_cast<uint32_t>(a) | static_cast<uint32_t>(b));
}
METALSIM_INLINE constexpr mem_flags operator&(mem_flags a, mem_flags b) {
  return static_cast<mem_flags>(static_cast<uint32_t>(a) & static_cast<uint32_t>(b));
}

enum memory_order {
  memory_order_relaxed = __ATOMIC_RELAXED,
  memory_order_acquire = __ATOMIC_ACQUIRE,
  memory_order_release = __ATOMIC_RELEASE,
  memory_order_acq_rel = __ATOMIC_ACQ_REL,
  memory_order_seq_cst = __ATOMIC_SEQ_CST,
};
enum thread_scope { thread_scope_thread, thread_scope_simdgroup, thread_scope_threadgroup, thread_scope_device };

METALSIM_INLINE void threadgroup_barrier(mem_flags flags) {
  metalsim_threadgroup_barrier(static_cast<uint32_t>(flags));
}

/// Without flags it orders nothing. Kernels put it into inner loops to keep Apple's compiler from moving loads, so that
/// only instrumented builds, which count it and see who does not come, make the threads meet.
METALSIM_INLINE void simdgroup_barrier(mem_flags flags) {
#ifndef METALSIM_INSTRUMENTED
  if (flags == mem_flags::mem_none) {
    return;
  }
#endif
  metalsim_simdgroup_barrier(static_cast<uint32_t>(flags));
}

METALSIM_INLINE void atomic_thread_fence(mem_flags, memory_order order, thread_scope = thread_scope_device) {
  __atomic_thread_fence(order);
}

} // namespace metal
