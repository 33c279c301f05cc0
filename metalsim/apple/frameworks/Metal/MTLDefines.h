// How Metal's headers export a name.
#pragma once

#include <Foundation/Foundation.h>

#define METAL_EXPORT __attribute__((visibility("default")))
#ifdef __cplusplus
#define MTL_EXTERN extern "C" METAL_EXPORT
#else
#define MTL_EXTERN extern METAL_EXPORT
#endif
#define MTL_EXPORT METAL_EXPORT
#define MTL_INLINE NS_INLINE
