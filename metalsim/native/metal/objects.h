// What the software Metal's classes have in common.
#pragma once

#import <Metal/Metal.h>

#include <string>

/// An object of the device's, with a label.
@interface SoftwareObject : NSObject
@property(nullable, copy, atomic) NSString* label;
@property(nonnull, readonly) id<MTLDevice> device;
@end

namespace metalsim::metal {

/// Empty for nil.
std::string utf8(NSString* _Nullable string);
NSString* _Nonnull string(const std::string& text);
/// Sets `*error`, if there is one to set, and returns nil for the caller to return.
id _Nullable fail(NSError* _Nullable* _Nullable error, NSErrorDomain _Nonnull domain, NSInteger code,
                  const std::string& text);

/// Refuses an argument that is nil or no object of `wanted`, which implements `protocol` or has its name.
void check_kind(id _Nullable object, Class _Nonnull wanted, const char* _Nonnull protocol, const char* _Nonnull call);

/// The same for an argument of which the software Metal has one implementation; returns it as that.
template <class Implementation>
Implementation* _Nonnull argument(id _Nullable object, const char* _Nonnull protocol, const char* _Nonnull call) {
  check_kind(object, [Implementation class], protocol, call);
  return static_cast<Implementation*>(object);
}

} // namespace metalsim::metal
