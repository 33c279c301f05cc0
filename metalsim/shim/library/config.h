// Metal's address spaces as attributes, and how the library's functions are declared.
//
// clang has named address spaces that are distinct types in the device half of SYCL only; code is generated for the
// host all the same. The plain spaces (and no macros called `device` or `thread`) are used in the library, so that
// other headers can still be included before keywords.h.
#pragma once

#include "../../native/abi.h"

#define METALSIM_DEVICE_SPACE __attribute__((opencl_global))
// opencl_constant is the default space in this mode; global_host is a distinct one that nothing else uses.
#define METALSIM_CONSTANT_SPACE __attribute__((opencl_global_host))
#define METALSIM_THREADGROUP_SPACE __attribute__((opencl_local))

#define METALSIM_INLINE inline __attribute__((__always_inline__))

/// A template takes part in overload resolution only if the condition holds.
#define METALSIM_REQUIRES(...) ::metal::enable_if_t<(__VA_ARGS__), int> = 0
