// Scalar and vector types.
//
// A vector is clang's ext_vector_type, which behaves as Metal's vectors do: swizzles, arithmetic by components, a
// scalar converts to a vector, a vector never to another one, no references to components. What it lacks is
// constructors: construct.h has them. Vectors of bool are a class, see bool_vector.h.
#pragma once

#include "config.h"

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef _Float16 half;
typedef __bf16 bfloat;

namespace metal {

template <typename T, int N> using vec = T __attribute__((ext_vector_type(N)));

using ::bfloat;
using ::half;
using ::int16_t;
using ::int32_t;
using ::int64_t;
using ::int8_t;
using ::ptrdiff_t;
using ::size_t;
using ::uchar;
using ::uint;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;
using ::uint8_t;
using ::ulong;
using ::ushort;

} // namespace metal

#include "metalsim_vector_types.h" // written by generate.py
