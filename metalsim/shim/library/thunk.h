// From a kernel to the one symbol that its library exports.
//
// The front end describes each parameter by METALSIM_ARGUMENT; METALSIM_EXPORT_KERNEL makes a function of it that takes
// the runtime's Context, fetches every argument as its type and calls the kernel. The kernel is forced inline there, so
// that a buffer which nothing uses leaves no call of metalsim_buffer: the reflection pass reads off what is left, and
// replaces the initialisers of the two globals.
#pragma once

#include "construct.h"

extern "C" {
/// Weak, so that nobody folds the initialiser before the pass has set it.
__attribute__((weak, visibility("hidden"))) extern const uint32_t metalsim_used_buffers = ~0u;
__attribute__((weak, visibility("hidden"))) extern const uint32_t metalsim_threadgroup_bytes = 0;
}

namespace metalsim::shim {

/// A parameter as the front end knows it: without its type.
struct DeclaredArgument {
  abi::ArgumentKind kind;
  uint32_t index;
  const char* name;
  bool is_enabled;
};

template <size_t N> struct DeclaredArguments {
  static constexpr size_t count = N;
  DeclaredArgument arguments[N + 1]; // an array needs an element
};
template <typename... A> constexpr DeclaredArguments<sizeof...(A)> declare_arguments(A... arguments) {
  return {{arguments..., {}}};
}

template <typename P> struct Pointee {
  using type = metal::remove_reference_t<P>;
};
template <typename T> struct Pointee<T*> {
  using type = T;
};
template <typename T> struct IsInDevice : metal::false_type {};
template <typename T> struct IsInDevice<METALSIM_DEVICE_SPACE T> : metal::bool_constant<!__is_const(T)> {};

template <typename T> constexpr uint32_t size_of() {
  if constexpr (__is_void(metal::remove_addrspace_t<T>)) {
    return 1;
  } else {
    return sizeof(T);
  }
}
template <typename T> constexpr uint32_t alignment_of() {
  if constexpr (__is_void(metal::remove_addrspace_t<T>)) {
    return 1;
  } else {
    return alignof(T);
  }
}

template <typename P> constexpr abi::Argument describe(DeclaredArgument declared) {
  using T = typename Pointee<P>::type;
  return {declared.kind,     declared.index,       size_of<T>(),        alignment_of<T>(),
          __is_reference(P), IsInDevice<T>::value, declared.is_enabled, declared.name};
}

constexpr uint32_t quads(uint32_t threads) {
  return (threads + 3) / 4;
}

/// A position as the kernel wants it: a vector, or of one dimension.
template <typename P> METALSIM_INLINE P coordinates(const uint32_t (&position)[3]) {
  if constexpr (VectorTraits<P>::is_vector) {
    static_assert(VectorTraits<P>::width <= 3, "a position has at most three dimensions");
    P result;
    for (int i = 0; i < VectorTraits<P>::width; ++i) {
      result[i] = position[i];
    }
    return result;
  } else {
    return static_cast<P>(position[0]);
  }
}

/// What a reference to a buffer that the kernel does not have refers to. The kernel does not use it, but the optimiser
/// may read it.
template <typename T> alignas(64) inline constexpr char unbound[sizeof(T)] = {};

template <typename P, abi::ArgumentKind Kind, uint32_t Index, bool IsEnabled>
METALSIM_INLINE P memory_argument(const abi::Context* context) {
  using T = typename Pointee<P>::type;
  static_assert(__is_pointer(P) || __is_reference(P), "a buffer argument must be a pointer or a reference");
  if constexpr (!IsEnabled) {
    if constexpr (__is_pointer(P)) {
      return nullptr;
    } else {
      return *(T*)unbound<metal::remove_addrspace_t<T>>;
    }
  } else {
    void* address =
        Kind == abi::ArgumentKind::buffer ? metalsim_buffer(context, Index) : context->threadgroup_memory[Index];
    if constexpr (__is_pointer(P)) {
      return (P)address;
    } else {
      return *(T*)address;
    }
  }
}

template <typename P, abi::ArgumentKind Kind> METALSIM_INLINE P position_argument(const abi::Position& position) {
  using abi::ArgumentKind;
  static_assert(!__is_pointer(P) && !__is_reference(P), "a position is passed by value");
  const auto size = [](const uint32_t(&threads)[3]) { return threads[0] * threads[1] * threads[2]; };
  if constexpr (Kind == ArgumentKind::thread_position_in_grid) {
    return coordinates<P>(position.thread_in_grid);
  } else if constexpr (Kind == ArgumentKind::threadgroup_position_in_grid) {
    return coordinates<P>(position.threadgroup_in_grid);
  } else if constexpr (Kind == ArgumentKind::thread_position_in_threadgroup) {
    return coordinates<P>(position.thread_in_threadgroup);
  } else if constexpr (Kind == ArgumentKind::threads_per_grid) {
    return coordinates<P>(position.threads_per_grid);
  } else if constexpr (Kind == ArgumentKind::threadgroups_per_grid) {
    return coordinates<P>(position.threadgroups_per_grid);
  } else if constexpr (Kind == ArgumentKind::threads_per_threadgroup) {
    return coordinates<P>(position.threads_per_threadgroup);
  } else if constexpr (Kind == ArgumentKind::dispatch_threads_per_threadgroup) {
    return coordinates<P>(position.dispatch_threads_per_threadgroup);
  } else if constexpr (Kind == ArgumentKind::thread_index_in_threadgroup) {
    return static_cast<P>(position.thread_index_in_threadgroup);
  } else if constexpr (Kind == ArgumentKind::thread_index_in_simdgroup) {
    return static_cast<P>(position.thread_index_in_simdgroup);
  } else if constexpr (Kind == ArgumentKind::simdgroup_index_in_threadgroup) {
    return static_cast<P>(position.simdgroup_index_in_threadgroup);
  } else if constexpr (Kind == ArgumentKind::simdgroups_per_threadgroup) {
    return static_cast<P>(position.simdgroups_per_threadgroup);
  } else if constexpr (Kind == ArgumentKind::dispatch_simdgroups_per_threadgroup) {
    return static_cast<P>(position.dispatch_simdgroups_per_threadgroup);
  } else if constexpr (Kind == ArgumentKind::threads_per_simdgroup) {
    return static_cast<P>(abi::kSimdWidth);
  } else if constexpr (Kind == ArgumentKind::quadgroup_index_in_threadgroup) {
    return static_cast<P>(position.thread_index_in_threadgroup / 4);
  } else if constexpr (Kind == ArgumentKind::quadgroup_index_in_simdgroup) {
    return static_cast<P>(position.thread_index_in_simdgroup / 4);
  } else if constexpr (Kind == ArgumentKind::thread_index_in_quadgroup) {
    return static_cast<P>(position.thread_index_in_simdgroup % 4);
  } else {
    static_assert(Kind == ArgumentKind::quadgroups_per_threadgroup);
    return static_cast<P>(quads(size(position.threads_per_threadgroup)));
  }
}

template <typename P, abi::ArgumentKind Kind, uint32_t Index, bool IsEnabled>
METALSIM_INLINE P fetch(const abi::Context* context) {
  if constexpr (Kind == abi::ArgumentKind::buffer || Kind == abi::ArgumentKind::threadgroup_memory) {
    return memory_argument<P, Kind, Index, IsEnabled>(context);
  } else {
    return position_argument<P, Kind>(*context->position);
  }
}

template <typename... P> constexpr size_t parameter_count(void (*)(P...)) {
  return sizeof...(P);
}

/// `Declared` is a type with a static constexpr member `value`, the arguments.
template <auto Function, typename Declared> struct Thunk;
template <typename... P, void (*Function)(P...), typename Declared> struct Thunk<Function, Declared> {
  static constexpr size_t count = sizeof...(P);
  static_assert(count == Declared::value.count, "the kernel has another number of parameters than its declaration");

  struct Table {
    abi::Argument arguments[count + 1];
  };

  static void run(const abi::Context* context) { run(context, metal::make_index_sequence<count>()); }
  static constexpr Table table() { return table(metal::make_index_sequence<count>()); }

private:
  template <size_t... I>
  METALSIM_INLINE static void run(const abi::Context* context, metal::integer_sequence<size_t, I...>) {
    [[clang::always_inline]] Function(fetch<P, Declared::value.arguments[I].kind, Declared::value.arguments[I].index,
                                            Declared::value.arguments[I].is_enabled>(context)...);
  }
  template <size_t... I> static constexpr Table table(metal::integer_sequence<size_t, I...>) {
    return {{describe<P>(Declared::value.arguments[I])..., {}}};
  }
};

} // namespace metalsim::shim

#define METALSIM_STRIP(...) __VA_ARGS__
#define METALSIM_JOIN_(A, B) A##B
#define METALSIM_JOIN(A, B) METALSIM_JOIN_(A, B)

#define METALSIM_ARGUMENT(KIND, INDEX, NAME, ENABLED)                                                                  \
  ::metalsim::shim::DeclaredArgument {                                                                                 \
    ::metalsim::abi::ArgumentKind::KIND, INDEX, NAME, bool(ENABLED)                                                    \
  }
#define METALSIM_ARGUMENTS(...) ::metalsim::shim::declare_arguments(__VA_ARGS__)

/// KERNEL is in parentheses, because a template's arguments have commas. No maximum of threads is given as 0.
#define METALSIM_EXPORT_KERNEL(NAME, KERNEL, MAX_THREADS, ...)                                                         \
  struct MetalsimArguments {                                                                                           \
    static constexpr auto value = __VA_ARGS__;                                                                         \
  };                                                                                                                   \
  using MetalsimThunk = ::metalsim::shim::Thunk<&METALSIM_STRIP KERNEL, MetalsimArguments>;                            \
  static constexpr auto metalsim_arguments = MetalsimThunk::table();                                                   \
  extern "C" __attribute__((visibility("default"))) const ::metalsim::abi::Kernel metalsim_kernel;                     \
  extern "C" const ::metalsim::abi::Kernel metalsim_kernel = {NAME,                                                    \
                                                              MetalsimThunk::run,                                      \
                                                              metalsim_arguments.arguments,                            \
                                                              MetalsimThunk::count,                                    \
                                                              (MAX_THREADS) != 0 ? (MAX_THREADS)                       \
                                                                                 : ::metalsim::abi::kMaxThreads,       \
                                                              &metalsim_used_buffers,                                  \
                                                              &metalsim_threadgroup_bytes};

/// Has the kernel's template checked with its arguments, and nothing else.
#define METALSIM_INSTANTIATE_KERNEL(NAME, KERNEL, MAX_THREADS, ...)                                                    \
  static constexpr auto METALSIM_JOIN(metalsim_instance_, __COUNTER__) = &METALSIM_STRIP KERNEL;

/// Has the type that an instantiation is written with compared with that of its template. Both are in parentheses.
#ifdef METALSIM_STRICT
namespace metalsim::shim {
template <typename T> using Pointer = T*;
}
#define METALSIM_INSTANCE_TYPE(KERNEL, TYPE)                                                                           \
  static constexpr auto METALSIM_JOIN(metalsim_instance_, __COUNTER__) =                                               \
      static_cast<::metalsim::shim::Pointer<METALSIM_STRIP TYPE>>(&METALSIM_STRIP KERNEL);
#else
#define METALSIM_INSTANCE_TYPE(KERNEL, TYPE)
#endif

/// TYPE is in parentheses; the array of a declarator is part of it, through a typedef.
#define METALSIM_THREADGROUP_VARIABLE(ID, TYPE, NAME)                                                                  \
  METALSIM_THREADGROUP_SPACE METALSIM_STRIP TYPE& NAME =                                                               \
      *(METALSIM_THREADGROUP_SPACE METALSIM_STRIP TYPE*)metalsim_threadgroup_variable(                                 \
          ID, sizeof(METALSIM_STRIP TYPE), alignof(METALSIM_STRIP TYPE), #NAME)
