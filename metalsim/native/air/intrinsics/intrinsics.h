// What the files of this folder share. Each implements intrinsics of AIR, by their names, on metalsim's runtime. They
// are compiled to bitcode, and those that a function calls are inlined into it (../link.cpp), as Metal's driver does on
// a GPU.
//
// The arithmetic is that of the C library and independent of the shim: two compilations of a kernel then agree only if
// the shim's functions mean what Apple's names say.
#pragma once

#include "../../abi.h"

#include <stdint.h>
#include <string.h>

using half = _Float16;
using bfloat = __bf16;

/// Declares and opens the definition of an intrinsic: METALSIM_AIR(float, exp_f32, "air.exp.f32", (float x)) { ... }
#define METALSIM_AIR(type, identifier, name, parameters)                                                               \
  extern "C" type metalsim_air_##identifier parameters __asm__(name);                                                  \
  type metalsim_air_##identifier parameters

namespace metalsim::air {

/// The bits of a value of up to 8 bytes, which is how collectives take it.
template <typename T> inline uint64_t to_bits(T value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return bits;
}

template <typename T> inline T from_bits(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// Reports an event where instrumented code is compiled.
inline void report(abi::Event event) {
#ifdef METALSIM_INSTRUMENTED
  metalsim_event(static_cast<uint32_t>(event), 1);
#else
  (void)event;
#endif
}

} // namespace metalsim::air
