// Prints which branches @available takes; the test describes the macOS.
#include "check.h"

#include "diagnostics.h"

int main() {
  const char* branch = "old";
  if (@available(macOS 15.0, *)) {
    branch = "new";
  } else {
    branch = "old";
  }
  bool is_14_4 = false;
  if (@available(macOS 14.4, iOS 17.4, *)) {
    is_14_4 = true;
  }
  bool is_26 = false;
  if (__builtin_available(macOS 26.0, *)) {
    is_26 = true;
  }
  if (@available(iOS 99, *)) {
    check(true);
  } else {
    check(false); // the star stands for macOS
  }
  check(metalsim_autoreleased_without_pool() == 0); // asking makes no object
  @autoreleasepool {
    const NSOperatingSystemVersion version = NSProcessInfo.processInfo.operatingSystemVersion;
    check([NSProcessInfo.processInfo isOperatingSystemAtLeastVersion:{15, 0, 0}] == (branch[0] == 'n'));
    printf("%ld.%ld %s %d %d\n", version.majorVersion, version.minorVersion, branch, is_14_4, is_26);
  }
}
