/* Part of every shared library and program with Objective-C in it: hands its classes, categories, selectors and
 * protocols to the runtime, before any other constructor of the library runs. */

/* The linker defines the bounds of a section whose name is an identifier; one that is absent has null bounds. */
#define BOUNDS(section)                                                                                                \
  extern void* __start_##section[] __attribute__((weak, visibility("hidden")));                                        \
  extern void* __stop_##section[] __attribute__((weak, visibility("hidden")))

BOUNDS(objc_classlist);
BOUNDS(objc_catlist);
BOUNDS(objc_selrefs);
BOUNDS(objc_protolist);
BOUNDS(objc_protorefs);

/* metalsim::objc::Image of abi.h. */
struct metalsim_image {
  void** bounds[10];
};

void metalsim_register_image(const struct metalsim_image* image);

__attribute__((constructor(101))) static void register_image(void) {
  const struct metalsim_image image = {{
      __start_objc_classlist,
      __stop_objc_classlist,
      __start_objc_catlist,
      __stop_objc_catlist,
      __start_objc_selrefs,
      __stop_objc_selrefs,
      __start_objc_protolist,
      __stop_objc_protolist,
      __start_objc_protorefs,
      __stop_objc_protorefs,
  }};
  metalsim_register_image(&image);
}
