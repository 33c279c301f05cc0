// What clang emits instead of retain, release and autorelease. Null is allowed.
#pragma once

#include "exported.h"

METALSIM_EXPORT void* objc_retain(void* object);
METALSIM_EXPORT void objc_release(void* object);
METALSIM_EXPORT void* objc_autorelease(void* object);
METALSIM_EXPORT void* objc_retainAutorelease(void* object);
