// Objective-C++ that compiles with and without automatic reference counting. The package's own build uses it.
#pragma once

#import <Foundation/Foundation.h>

namespace fused_attn::mps {

/// Hands what `alloc`, `new…` or `copy` returned to the enclosing autorelease pool.
template <typename T> T owned_by_pool(T object) {
#if __has_feature(objc_arc)
  return object;
#else
  return [object autorelease];
#endif
}

/// Keeps an object for as long as the process runs, in a place that ARC does not look after or with no ARC.
template <typename T> T kept(T object) {
#if __has_feature(objc_arc)
  return object;
#else
  return [object retain];
#endif
}

} // namespace fused_attn::mps
