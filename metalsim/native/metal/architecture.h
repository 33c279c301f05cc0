// MTLArchitecture: the GPU's name among its makers.
#pragma once

#import <Metal/Metal.h>

namespace metalsim::metal {

MTLArchitecture* _Nonnull device_architecture();

} // namespace metalsim::metal
