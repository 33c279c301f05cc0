// MTLFunctionConstantValues and MTLFunctionConstant.
#pragma once

#import <Metal/Metal.h>

#include "compiler.h"

namespace metalsim::metal {

/// What the host has set, for the compiler; none for nil.
std::vector<ConstantValue> constant_values(MTLFunctionConstantValues* _Nullable values);
/// The constants that a library declares, by name.
NSDictionary<NSString*, MTLFunctionConstant*>* _Nonnull function_constants_dictionary(
    const std::vector<FunctionConstant>& constants);

} // namespace metalsim::metal
