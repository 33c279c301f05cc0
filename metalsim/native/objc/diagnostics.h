// What tests ask the Objective-C runtime.
#pragma once

#include "exported.h"

#include <cstddef>
#include <cstdint>

/// Objects of exactly this class that are alive; -1 if there is no such class.
METALSIM_EXPORT int64_t metalsim_live_objects(const char* class_name);
/// How often an object was autoreleased on a thread without a pool: on a Mac too it lives until the thread's end.
METALSIM_EXPORT int64_t metalsim_autoreleased_without_pool();
/// Writes the names of the protocol's required methods that instances of the class lack, with a space after each, and
/// returns their number; -1 if there is no such class or protocol.
METALSIM_EXPORT int64_t metalsim_missing_methods(const char* class_name, const char* protocol_name, char* names,
                                                 size_t size);
