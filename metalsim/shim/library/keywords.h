// Metal's keywords. Last of all, because other headers use these words as names.
//
// A `constant` is const, so that it can be an array's bound. The memory of a thread is what C++ takes for granted.
// Kernels are marked for the strict pass, which has rules for them, and are internal, so that of all the kernels of a
// file only the one that is wanted is kept.
#define device METALSIM_DEVICE_SPACE
#define constant const METALSIM_CONSTANT_SPACE
#define threadgroup METALSIM_THREADGROUP_SPACE
#define thread
#define kernel __attribute__((internal_linkage, annotate("metalsim_kernel")))

// What the front end makes of the address space after a member function's parameters: the function's own; and those of
// all overloads that differ in nothing else. Only the strict pass wants to know.
#ifdef METALSIM_STRICT
#define METALSIM_OBJECTS(SPACES) __attribute__((annotate("metalsim_objects:" SPACES)))
#else
#define METALSIM_OBJECTS(SPACES)
#endif
