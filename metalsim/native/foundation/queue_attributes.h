#pragma once

#import <Foundation/Foundation.h>

namespace metalsim::foundation {

bool is_concurrent(dispatch_queue_attr_t attributes);

} // namespace metalsim::foundation
