// Metal's standard library for clang in SYCL-device mode: what every translated kernel starts with.
//
// library/ has a file for each part. What is Apple's is in namespace metal (types such as float4 also outside of it);
// what is ours is in metalsim::shim.
#pragma once

#include "library/as_type.h"
#include "library/atomic.h"
#include "library/barriers.h"
#include "library/bool_vector.h"
#include "library/config.h"
#include "library/construct.h"
#include "library/geometric.h"
#include "library/integer.h"
#include "library/limits.h"
#include "library/math.h"
#include "library/matrix.h"
#include "library/pack.h"
#include "library/packed.h"
#include "library/relational.h"
#include "library/simdgroup.h"
#include "library/simdgroup_matrix.h"
#include "library/thunk.h"
#include "library/type_traits.h"
#include "library/types.h"
#include "library/utility.h"

#include "library/builtins.h"

#include "library/keywords.h"
