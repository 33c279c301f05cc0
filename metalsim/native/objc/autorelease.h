#pragma once

namespace metalsim::objc {

/// Adds an object to the thread's innermost pool, for -[NSObject autorelease].
void* add_to_pool(void* object);

} // namespace metalsim::objc
