// MTLLibrary.
#pragma once

#import "objects.h"

@interface SoftwareLibrary : SoftwareObject <MTLLibrary>
/// The compiler's name for it.
@property(readonly) uint64_t token;
/// Of its compile options; 0 if they say nothing.
@property(readonly) NSUInteger maxTotalThreadsPerThreadgroup;
@end

namespace metalsim::metal {

/// Compiles source. Returns nil and sets the error if it is none.
id<MTLLibrary> _Nullable new_library(NSString* _Nullable source, MTLCompileOptions* _Nullable options,
                                     NSError* _Nullable* _Nullable error);
/// Compiles a file of source; refuses compiled libraries.
id<MTLLibrary> _Nullable new_library_of_file(NSString* _Nullable path, NSError* _Nullable* _Nullable error);
/// Refuses compiled libraries: sets the error and returns nil.
id<MTLLibrary> _Nullable refuse_compiled_library(const char* _Nonnull call, NSError* _Nullable* _Nullable error);

} // namespace metalsim::metal
