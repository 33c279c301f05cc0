// MTLCompileOptions.
#pragma once

#import <Metal/Metal.h>

#include "compiler.h"

namespace metalsim::metal {

Compiler::Macros macros(MTLCompileOptions* _Nullable options);
/// "3.1". For nil, the newest that the described macOS has.
std::string language_version(MTLCompileOptions* _Nullable options);

} // namespace metalsim::metal
