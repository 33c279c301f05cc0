// MTLCommandQueue.
#pragma once

#import "objects.h"

#include "execution.h"

@interface SoftwareCommandQueue : SoftwareObject <MTLCommandQueue>
- (const std::shared_ptr<metalsim::metal::ExecutionQueue>&)execution;
@end
