// What `@available` asks. On a Mac it comes with the compiler, in libclang_rt.osx.a, and asks the same of the system.
#include <stdbool.h>
#include <stdint.h>

struct version_of_platform {
  uint32_t platform;
  uint32_t version; // major << 16 | minor << 8 | patch
};

extern bool _availability_version_check(uint32_t count, struct version_of_platform versions[]);

__attribute__((visibility("hidden"))) int32_t __isPlatformVersionAtLeast(uint32_t platform, uint32_t major,
                                                                         uint32_t minor, uint32_t patch) {
  struct version_of_platform wanted = {platform, major << 16 | minor << 8 | patch};
  return _availability_version_check(1, &wanted);
}
