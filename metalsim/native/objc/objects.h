// Making, counting and freeing objects.
#pragma once

#include "abi.h"

#include "exported.h"

namespace metalsim::objc {

/// Lies before each object that the runtime allocates.
struct Header {
  std::atomic<int64_t> count; ///< owners; far below zero while the object is being deallocated
  Class* class_before_free;   ///< set when the object is freed
};
static_assert(sizeof(Header) == 16, "keeps objects aligned as malloc does");

Object* make_object(Class* cls, size_t extra_bytes);
/// Destroys the C++ instance variables, clears weak references and frees the memory.
void free_object(Object* object);
/// One more owner, if the object is not on its way out: what a weak reference does.
bool retain_if_alive(Object* object);
bool has_header(const Object* object);
const Class* class_before_free(const Object* object);

} // namespace metalsim::objc

// The counting behind -[NSObject retain], release and retainCount.
METALSIM_EXPORT void* metalsim_retain(void* object);
METALSIM_EXPORT void metalsim_release(void* object);
METALSIM_EXPORT int64_t metalsim_retain_count(void* object);
/// Declares that objects of a class, and of those below it, are not made by the runtime and have no count: constant
/// strings, blocks. The class overrides retain and release.
METALSIM_EXPORT void metalsim_has_uncounted_objects(void* cls);
