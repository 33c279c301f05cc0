// What every translated kernel starts with when it is compiled for an NVIDIA GPU: the shim (../../shim), with the
// runtime's functions (abi.h) defined in place, so that they become instructions.
//
// A simdgroup is a warp, threadgroup memory is shared memory. clang keeps Metal's address spaces: device and constant
// are global memory, threadgroup is shared. Included files are those of a copy of the shim, next to which this folder
// is copied.
#pragma once

#include "shim/native/abi.h"

#include "thread.h"

#include "functions.h"

#include "collectives.h"

#include "shim/shim/library/as_type.h"
#include "shim/shim/library/atomic.h"
#include "shim/shim/library/barriers.h"
#include "shim/shim/library/bool_vector.h"
#include "shim/shim/library/config.h"
#include "shim/shim/library/construct.h"
#include "shim/shim/library/geometric.h"
#include "shim/shim/library/integer.h"
#include "shim/shim/library/limits.h"
#include "shim/shim/library/math.h"
#include "shim/shim/library/matrix.h"
#include "shim/shim/library/pack.h"
#include "shim/shim/library/packed.h"
#include "shim/shim/library/relational.h"
#include "shim/shim/library/simdgroup.h"
#include "shim/shim/library/simdgroup_matrix.h"
#include "shim/shim/library/thunk.h"
#include "shim/shim/library/type_traits.h"
#include "shim/shim/library/types.h"
#include "shim/shim/library/utility.h"

#include "shim/shim/library/builtins.h"

#include "entry.h"
#include "matrix_product.h"

#include "shim/shim/library/keywords.h"
// Without the strict pass's annotation, which would keep a second copy of the kernel.
#undef kernel
#define kernel __attribute__((internal_linkage))
