// MTLDevice.
#pragma once

#import <Metal/Metal.h>

namespace metalsim::metal {

/// The one device that there is.
id<MTLDevice> _Nonnull the_device();

} // namespace metalsim::metal
