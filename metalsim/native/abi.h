// What a compiled kernel and the runtime agree on.
//
// Included by the shim (inside the kernel's translation unit, before Metal's keywords become macros), by the runtime,
// and by the code that lowers Apple's AIR. A kernel's library exports exactly one symbol of its own, `metalsim_kernel`;
// everything else that it needs is imported from the runtime under the names at the end of this file.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace metalsim::abi {

inline constexpr uint32_t kSimdWidth = 32;            ///< threads of a simdgroup
inline constexpr uint32_t kMaxThreads = 1024;         ///< threads of a threadgroup
inline constexpr uint32_t kMaxBindings = 31;          ///< [[buffer(n)]] and [[threadgroup(n)]]: n < 31
inline constexpr uint32_t kThreadgroupMemory = 32768; ///< bytes that a threadgroup may use

/// What a kernel's parameter is bound to: the attribute behind it.
enum class ArgumentKind : uint32_t {
  buffer,             ///< [[buffer(n)]]
  threadgroup_memory, ///< [[threadgroup(n)]]
  thread_position_in_grid,
  threadgroup_position_in_grid,
  thread_position_in_threadgroup,
  threads_per_grid,
  threadgroups_per_grid,
  threads_per_threadgroup, ///< of this threadgroup: smaller at the edge of a non-uniform grid
  dispatch_threads_per_threadgroup,
  thread_index_in_threadgroup,
  thread_index_in_simdgroup,
  simdgroup_index_in_threadgroup,
  simdgroups_per_threadgroup,
  dispatch_simdgroups_per_threadgroup,
  threads_per_simdgroup,
  quadgroup_index_in_threadgroup,
  quadgroup_index_in_simdgroup,
  thread_index_in_quadgroup,
  quadgroups_per_threadgroup,
};

/// One parameter of a kernel, known when the kernel is compiled.
struct Argument {
  ArgumentKind kind;
  uint32_t index;     ///< n of [[buffer(n)]] or [[threadgroup(n)]], else 0
  uint32_t size;      ///< bytes of what the pointer or reference refers to
  uint32_t alignment; ///< of the same
  bool is_reference;  ///< `constant T&`: the whole object must be inside of the buffer
  bool is_writable;   ///< `device T*` without const
  bool is_enabled;    ///< false where its [[function_constant(c)]] is false: the parameter does not exist
  const char* name;
};

/// Where a thread is. Sizes are in threads or threadgroups; x varies fastest.
struct Position {
  uint32_t thread_in_grid[3];
  uint32_t threadgroup_in_grid[3];
  uint32_t thread_in_threadgroup[3];
  uint32_t threads_per_grid[3];
  uint32_t threadgroups_per_grid[3];
  uint32_t threads_per_threadgroup[3];          ///< of this threadgroup
  uint32_t dispatch_threads_per_threadgroup[3]; ///< of a full threadgroup
  uint32_t thread_index_in_threadgroup;
  uint32_t thread_index_in_simdgroup;
  uint32_t simdgroup_index_in_threadgroup;
  uint32_t simdgroups_per_threadgroup; ///< of this threadgroup
  uint32_t dispatch_simdgroups_per_threadgroup;
};

/// What a thread starts with.
struct Context {
  void* buffers[kMaxBindings]; ///< an unbound one points to memory that may not be touched
  void* threadgroup_memory[kMaxBindings];
  const Position* position;
};

/// The one exported symbol of a kernel's library: `extern "C" const Kernel metalsim_kernel`.
struct Kernel {
  const char* name;            ///< the host name
  void (*run)(const Context*); ///< the kernel, for one thread
  const Argument* arguments;
  uint32_t argument_count;
  uint32_t max_threads_per_threadgroup; ///< [[max_total_threads_per_threadgroup(n)]], else kMaxThreads
  /// Filled in by the `metalsim-reflect` pass: what is left of the parameters and variables after optimisation.
  const uint32_t* used_buffers;      ///< one bit for each [[buffer(n)]] that the code uses
  const uint32_t* threadgroup_bytes; ///< of threadgroup variables declared in the kernel
};

/// Operations in which all threads of a simdgroup meet. The second line of a shuffle's comment is what it reads.
enum class Collective : uint32_t {
  shuffle,      ///< lane p
  shuffle_xor,  ///< lane ^ p
  shuffle_up,   ///< lane - p; undefined below p
  shuffle_down, ///< lane + p; undefined from 32 - p on
  shuffle_rotate_up,
  shuffle_rotate_down,
  shuffle_and_fill_up, ///< `fill` where shuffle_up is undefined
  shuffle_and_fill_down,
  broadcast,       ///< lane p, the same for all
  broadcast_first, ///< the first active lane
  quad_shuffle,    ///< lane p of the quad, and so on
  quad_shuffle_xor,
  quad_shuffle_up,
  quad_shuffle_down,
  quad_broadcast,
  ballot, ///< bit of every lane whose value is not 0
  active_mask,
  is_first,    ///< 1 for the first active lane
  reduce,      ///< parameter = reduction(Reduction, NumberType)
  quad_reduce, ///< the same over the four lanes of a quad
};

enum class Reduction : uint32_t {
  sum,
  product,
  min,
  max,
  bit_and,
  bit_or,
  bit_xor,
  prefix_inclusive_sum,
  prefix_exclusive_sum,
  prefix_inclusive_product,
  prefix_exclusive_product
};
enum class NumberType : uint32_t { f32, f16, i32, u32, i64, u64 };
constexpr uint32_t reduction(Reduction r, NumberType t) {
  return static_cast<uint32_t>(r) << 8 | static_cast<uint32_t>(t);
}

/// Element types of the matrices of one product, destination first: which of Apple's instructions it is.
enum class MatrixType : uint32_t { f32, f16, bf16 };
constexpr uint32_t matrix_product(MatrixType d, MatrixType a, MatrixType b, MatrixType c) {
  return static_cast<uint32_t>(d) << 6 | static_cast<uint32_t>(a) << 4 | static_cast<uint32_t>(b) << 2 |
         static_cast<uint32_t>(c);
}

/// Bits of mem_flags, as in Metal.
enum MemoryFlags : uint32_t { kMemNone = 0, kMemDevice = 1, kMemThreadgroup = 2, kMemTexture = 4 };

/// Events that the shim reports where the compiled code does not show them (instrumented builds only).
enum class Event : uint32_t {
  fragment_load_device,
  fragment_load_threadgroup,
  fragment_load_thread, // simdgroup_load
  fragment_store_device,
  fragment_store_threadgroup,
  fragment_store_thread, // simdgroup_store
  exponential,
  logarithm,
  transcendental,
  reciprocal,
  square_root, // one thread each
  kCount,
};

/// Flags of metalsim_access.
enum AccessFlags : uint32_t { kLoad = 0, kStore = 1, kAtomic = 2 };

/// Two elements of an 8x8 matrix. Lane l = 0..31 holds row (q & 4) + (l / 2) % 4 and columns (q & 2) * 2 + (l % 2) * 2
/// and the one after, with q = l / 4.
typedef float MatrixElements __attribute__((vector_size(8)));

} // namespace metalsim::abi

// NOLINTBEGIN: the names are the ABI
// Where a thread may have to wait for others, and its stack is left for another's.
// nomerge: a call stays where its line is, so that barriers in two branches are seen to be two.
// preserve_none: the caller keeps nothing in registers, so that there is little to save when stacks are switched.
#define METALSIM_BLOCKING __attribute__((convergent, nomerge, nothrow, preserve_none))
extern "C" {
/// Collective: d = a * b + c on the whole simdgroup, in fp32. `types` is abi::matrix_product(...).
METALSIM_BLOCKING metalsim::abi::MatrixElements metalsim_matrix_product(uint32_t types, metalsim::abi::MatrixElements a,
                                                                        metalsim::abi::MatrixElements b,
                                                                        metalsim::abi::MatrixElements c);
/// Collective: `op` is an abi::Collective, `value` and `fill` hold up to 8 bytes in their low bits.
METALSIM_BLOCKING uint64_t metalsim_collective(uint32_t op, uint64_t value, uint64_t fill, uint32_t parameter);
METALSIM_BLOCKING void metalsim_threadgroup_barrier(uint32_t flags);
METALSIM_BLOCKING void metalsim_simdgroup_barrier(uint32_t flags);

/// Address of buffer n, for the parameter thunk. A function and not a load, so that the reflection pass sees what is
/// used.
__attribute__((const)) void* metalsim_buffer(const metalsim::abi::Context* context, uint32_t index);
/// Address of a threadgroup variable, the same for all threads; `id` is unique in the kernel's library.
__attribute__((const)) void* metalsim_threadgroup_variable(uint32_t id, uint64_t size, uint64_t alignment,
                                                           const char* name);
__attribute__((const)) const metalsim::abi::Position* metalsim_position(void);

/// Instrumented builds only. `event` is an abi::Event.
void metalsim_event(uint32_t event, uint32_t count);
}
// NOLINTEND
