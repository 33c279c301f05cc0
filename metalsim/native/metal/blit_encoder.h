// MTLBlitCommandEncoder, for buffers.
#pragma once

#import "command_encoder.h"

@interface SoftwareBlitCommandEncoder : SoftwareCommandEncoder <MTLBlitCommandEncoder>
@end
