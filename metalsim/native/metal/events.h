// MTLEvent, MTLSharedEvent and its listener, MTLFence.
#pragma once

#import "objects.h"

#include "event_state.h"

#include <memory>

@interface SoftwareEvent : SoftwareObject <MTLEvent>
- (const std::shared_ptr<metalsim::metal::EventState>&)state;
@end

@interface SoftwareSharedEvent : SoftwareEvent <MTLSharedEvent>
@end

@interface SoftwareFence : SoftwareObject <MTLFence>
@end
