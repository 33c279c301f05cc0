// From a kernel to an entry point of PTX.
//
// The parameters are one struct, the same for all kernels, so that a launch needs to know nothing of a kernel's. Which
// buffers the code uses shows in the PTX: the others' addresses are not loaded. What the host must know besides is in
// metalsim_description, which metalsim.cuda reads out of the PTX.
#pragma once

namespace metalsim::cuda {

/// What a launch passes.
struct LaunchParameters {
  void* buffers[abi::kMaxBindings];
  uint32_t threadgroup_memory[abi::kMaxBindings]; ///< offsets of the launch's threadgroup memory
};

/// The memory of a threadgroup variable; what types it holds is of no interest.
template <uint32_t Id, size_t Size, size_t Alignment> struct ThreadgroupVariable {
  [[clang::loader_uninitialized]] alignas(Alignment) static inline METALSIM_THREADGROUP_SPACE unsigned char bytes[Size];
};

/// What the shim's thunk starts from. Written out, so that the copies are gone before anything is inlined.
template <size_t... I>
METALSIM_CUDA_INLINE abi::Context context_of(const LaunchParameters& parameters, const abi::Position* position,
                                             METALSIM_THREADGROUP_SPACE unsigned char* dynamic_memory,
                                             metal::integer_sequence<size_t, I...>) {
  return {{parameters.buffers[I]...}, {(void*)(dynamic_memory + parameters.threadgroup_memory[I])...}, position};
}

/// Words before those of the arguments, and words of an argument.
inline constexpr size_t kDescriptionHead = 2, kDescriptionArgument = 7;

template <size_t Count> struct Description {
  uint32_t words[kDescriptionHead + Count * kDescriptionArgument];
};

template <typename Thunk> constexpr Description<Thunk::count> describe(uint32_t max_threads) {
  Description<Thunk::count> result = {{max_threads, static_cast<uint32_t>(Thunk::count)}};
  constexpr auto table = Thunk::table();
  for (size_t i = 0; i < Thunk::count; ++i) {
    uint32_t* words = result.words + kDescriptionHead + i * kDescriptionArgument;
    words[0] = static_cast<uint32_t>(table.arguments[i].kind);
    words[1] = table.arguments[i].index;
    words[2] = table.arguments[i].size;
    words[3] = table.arguments[i].alignment;
    words[4] = table.arguments[i].is_reference;
    words[5] = table.arguments[i].is_writable;
    words[6] = table.arguments[i].is_enabled;
  }
  return result;
}

} // namespace metalsim::cuda

/// Of a launch: PTX has one such array, whose size the launch chooses.
extern "C" METALSIM_THREADGROUP_SPACE unsigned char metalsim_dynamic_memory[] __attribute__((aligned(16)));

#undef METALSIM_EXPORT_KERNEL
#define METALSIM_EXPORT_KERNEL(NAME, KERNEL, MAX_THREADS, ...)                                                         \
  struct MetalsimArguments {                                                                                           \
    static constexpr auto value = __VA_ARGS__;                                                                         \
  };                                                                                                                   \
  using MetalsimThunk = ::metalsim::shim::Thunk<&METALSIM_STRIP KERNEL, MetalsimArguments>;                            \
  extern "C" const ::metalsim::cuda::Description<MetalsimThunk::count> metalsim_description;                           \
  extern "C" const ::metalsim::cuda::Description<MetalsimThunk::count> metalsim_description =                          \
      ::metalsim::cuda::describe<MetalsimThunk>(MAX_THREADS);                                                          \
  extern "C" __attribute__((nvptx_kernel)) void metalsim_kernel(::metalsim::cuda::LaunchParameters parameters) {       \
    const ::metalsim::abi::Position position = ::metalsim::cuda::position();                                           \
    const ::metalsim::abi::Context context =                                                                           \
        ::metalsim::cuda::context_of(parameters, &position, metalsim_dynamic_memory,                                   \
                                     ::metal::make_index_sequence<::metalsim::abi::kMaxBindings>());                   \
    [[clang::always_inline]] MetalsimThunk::run(&context);                                                             \
  }

#undef METALSIM_THREADGROUP_VARIABLE
#define METALSIM_THREADGROUP_VARIABLE(ID, TYPE, NAME)                                                                  \
  METALSIM_THREADGROUP_SPACE METALSIM_STRIP TYPE& NAME =                                                               \
      *(METALSIM_THREADGROUP_SPACE METALSIM_STRIP TYPE*)::metalsim::cuda::ThreadgroupVariable<                         \
          ID, sizeof(METALSIM_STRIP TYPE), alignof(METALSIM_STRIP TYPE)>::bytes
