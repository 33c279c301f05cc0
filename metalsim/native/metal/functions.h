// MTLFunction.
#pragma once

#import "libraries.h"

#include "compiler.h"

@interface SoftwareFunction : SoftwareObject <MTLFunction>
/// The kernel with its constants. Throws CompilationFailed if it needs constants and has got none.
- (metalsim::metal::CompiledKernel)compiled;
- (nonnull SoftwareLibrary*)library;
@end

namespace metalsim::metal {

/// A function without values for constants; it is compiled when a pipeline is made of it.
id<MTLFunction> _Nonnull new_function(SoftwareLibrary* _Nonnull library, const std::string& name);
/// Returns nil and sets the error if the kernel does not compile with these values.
id<MTLFunction> _Nullable new_specialised_function(SoftwareLibrary* _Nonnull library, const std::string& name,
                                                   MTLFunctionConstantValues* _Nullable values,
                                                   NSError* _Nullable* _Nullable error);

} // namespace metalsim::metal
