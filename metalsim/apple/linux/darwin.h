// Included by force before any other text of host code: what Darwin's C library and Apple's clang have and Linux lacks.
#pragma once

#include <stdint.h>
#include <time.h>

// Spellings that clang knows for Apple's systems only. (__nonnull is a macro of Linux's C library: write _Nonnull.)
#define __nullable _Nullable
#define __null_unspecified _Null_unspecified

#ifdef __cplusplus
// libc++ brings these in with other headers, libstdc++ does not.
#include <condition_variable>
#include <functional>
#include <mutex>
extern "C" {
#endif

/// Null if the described macOS is older than `platforms`, the text between the parentheses of @available.
__attribute__((visibility("default"))) const char* metalsim_availability(const char* platforms);

static inline uint64_t clock_gettime_nsec_np(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#ifdef __cplusplus
}
#endif

// clang holds every @available(..., *) for true on a system that is not Apple's. With these macros it asks the
// described macOS instead: "@available(macOS 15.0, *)" becomes a boxed string, which is nil for a null pointer.
#ifdef __OBJC__
#pragma clang diagnostic ignored "-Wobjc-literal-conversion" // "always true", it holds
#define available(...) (metalsim_availability(#__VA_ARGS__))
#endif
#define __builtin_available(...) (metalsim_availability(#__VA_ARGS__) != 0)
